# mediad: everything a developer or an operator types. `make` alone prints this help.
SHELL := /bin/sh
VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
CACHE   ?= $(if $(XDG_CACHE_HOME),$(XDG_CACHE_HOME),$(HOME)/.cache)/mediad
GO      := CGO_ENABLED=0 go
LDFLAGS := -s -w -X main.version=$(VERSION)
WEB_SRC := $(shell find web -path web/node_modules -prune -o -path web/dist -prune -o -type f -print 2>/dev/null)
FUZZ    ?= 1m

.DEFAULT_GOAL := help
.PHONY: help run build binary web test unit web-test e2e lint fuzz bench soak demo vuln notices release docker clean

help: ## print this help
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: build ## build and serve on embedded defaults; prints what to type into OBS
	@exec bin/mediad serve $(ARGS)

build: deps web binary ## build bin/mediad with the web page inside

.PHONY: deps
deps:
	@deploy/deps.sh run

binary:
	$(GO) build -trimpath -ldflags '$(LDFLAGS)' -o bin/mediad ./cmd/mediad

web: web/dist/index.html

web/node_modules/.package-lock.json: web/package.json web/package-lock.json
	cd web && npm ci --no-audit --no-fund --loglevel=error
	@touch $@

web/dist/index.html: web/node_modules/.package-lock.json $(WEB_SRC)
	cd web && npm run --silent build
	@touch $@

test: ## install what the tests need and run them all: unit, property, conformance, end to end
	@deploy/deps.sh test
	@$(MAKE) --no-print-directory build
	@$(MAKE) --no-print-directory unit web-test e2e

# Three packages at a time: several of them mostly wait for servers and encoders. The linter vets.
unit:
	go test -race -short -p 3 -timeout 15m ./...

web-test: web/node_modules/.package-lock.json
	cd web && npm run --silent lint && npm run --silent format:check && npm run --silent typecheck && npm run --silent test && npm run --silent size

e2e: build ## end-to-end tests alone, with real encoders, browsers and players
	@deploy/deps.sh test
	@deploy/e2e.sh $(E2E)

# It compiles as `binary` does, which finds most of that done.
lint: ## golangci-lint
	@deploy/deps.sh lint
	CGO_ENABLED=0 GOFLAGS=-trimpath $(CACHE)/bin/golangci-lint run ./...

fuzz: ## every fuzz target for FUZZ (1m) each
	@deploy/fuzz.sh $(FUZZ)

bench: build ## measure delay, viewers, CPU and memory, beside other servers in the same run (MEDIAMTX=its binary)
	@deploy/deps.sh test
	go test -run '^$$' -bench . -benchmem ./media/... ./ingest/... ./live/... ./packager/... ./store/blob/...
	go test -tags bench -timeout 30m -count=1 -v ./internal/bench/...

soak: build ## the fault tests at full length: lost publishers, kill -9, full disk, stalled viewers
	@deploy/deps.sh test
	go test -race -timeout 30m ./...
	MEDIAD_TEST_DATABASE=postgres go test -race -timeout 30m ./api/... ./store/...
	go test -tags e2e -timeout 120m -count=1 -v ./internal/e2e/... -soak

demo: build ## publish a moving picture with sound to the running server's stream "demo"
	@deploy/demo.sh $(ARGS)

vuln: ## known vulnerabilities in what we link (needs the internet)
	go run golang.org/x/vuln/cmd/govulncheck@v1.9.0 ./...

notices: web ## write THIRD_PARTY.md anew, after dependencies have changed
	@deploy/notices.sh >THIRD_PARTY.md.new && mv THIRD_PARTY.md.new THIRD_PARTY.md

release: build ## archives for Linux and macOS with checksums in bin/release
	@deploy/release.sh $(VERSION)

docker: ## container image mediad:VERSION (needs a Docker engine)
	docker build --build-arg VERSION=$(VERSION) -t mediad:$(VERSION) .

clean: ## remove what was built
	rm -rf bin web/dist/assets web/dist/*.html web/node_modules
