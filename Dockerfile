# Every step is a command that the Makefile runs too.
FROM node:20-bookworm-slim AS web
WORKDIR /src
COPY web web
RUN cd web && npm ci --no-audit --no-fund --loglevel=error && npm run --silent build

FROM golang:1.26-bookworm AS build
ARG VERSION=dev
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
COPY --from=web /src/web/dist web/dist
RUN make binary VERSION=$VERSION

FROM debian:bookworm-slim
RUN apt-get update -q \
 && DEBIAN_FRONTEND=noninteractive apt-get install -qy --no-install-recommends ffmpeg ca-certificates \
 && rm -rf /var/lib/apt/lists/* \
 && useradd --system --uid 10001 --home-dir /var/lib/mediad --create-home mediad
COPY --from=build /src/bin/mediad /usr/local/bin/mediad
COPY --from=build /src/LICENSE /src/THIRD_PARTY.md /usr/share/doc/mediad/
USER mediad
WORKDIR /var/lib/mediad
ENV MEDIAD_DATA_DIR=/var/lib/mediad
VOLUME /var/lib/mediad
EXPOSE 8080 8443 1935 1936
HEALTHCHECK --interval=10s --timeout=3s --start-period=5s CMD ["mediad", "doctor", "--ready"]
STOPSIGNAL SIGTERM
ENTRYPOINT ["mediad"]
CMD ["serve"]
