#!/bin/sh
# Builds the archives of a release into bin/release: one binary, licence, notices and the reference configuration each.
set -eu
version=${1:?version}
out=bin/release
rm -rf "$out"
mkdir -p "$out"
for target in linux/amd64 linux/arm64 darwin/arm64; do
	os=${target%/*} arch=${target#*/}
	name=mediad-$version-$os-$arch
	mkdir -p "$out/$name"
	printf 'release: %s\n' "$name"
	CGO_ENABLED=0 GOOS=$os GOARCH=$arch go build -trimpath -ldflags "-s -w -X main.version=$version" -o "$out/$name/mediad" ./cmd/mediad
	cp LICENSE THIRD_PARTY.md README.md configs/mediad.yaml "$out/$name/"
	tar -C "$out" --sort=name --owner=0 --group=0 --numeric-owner -czf "$out/$name.tar.gz" "$name"
	rm -rf "${out:?}/$name"
done
(cd "$out" && sha256sum ./*.tar.gz >SHA256SUMS)
