#!/bin/sh
# Prints THIRD_PARTY.md: every module and package that the binary contains, with its version and licence.
set -eu
licence() { # DIR
	file=$(find "$1" -maxdepth 1 -iname 'licen[sc]e*' -o -maxdepth 1 -iname 'copying*' | sort | head -n 1)
	[ -n "$file" ] || { echo unknown; return; }
	if grep -q 'Mozilla Public License' "$file"; then echo MPL-2.0
	elif grep -q 'Apache License' "$file"; then echo Apache-2.0
	elif grep -q 'Redistribution and use in source and binary forms' "$file"; then
		if grep -qi 'neither the name' "$file"; then echo BSD-3-Clause; else echo BSD-2-Clause; fi
	elif grep -qi 'Permission to use, copy, modify, and/or distribute' "$file"; then echo ISC
	elif grep -qi 'Permission is hereby granted, free of charge' "$file"; then echo MIT
	elif grep -qi 'public domain' "$file"; then echo 'public domain'
	else echo unknown; fi
}
cat <<'HEAD'
# Third-party notices

mediad contains the following works. Each stays under its own licence, whose full text lies in the module's or package's source. Made by
`deploy/notices.sh`. FFmpeg is run as a separate program and is not part of mediad.

## Go modules

| module | version | licence |
|---|---|---|
HEAD
go list -deps -f '{{with .Module}}{{if not .Main}}{{.Path}} {{.Version}} {{.Dir}}{{end}}{{end}}' ./cmd/mediad | sort -u | while read -r path version dir; do
	[ -n "$path" ] && printf '| %s | %s | %s |\n' "$path" "$version" "$(licence "$dir")"
done
cat <<'HEAD'

## Packages of the web page

| package | version | licence |
|---|---|---|
HEAD
(cd web && npm ls --omit=dev --all --parseable 2>/dev/null) | tail -n +2 | sort -u | while read -r dir; do
	[ -f "$dir/package.json" ] && node -e 'const p=require(process.argv[1]+"/package.json");console.log(`| ${p.name} | ${p.version} | ${p.license} |`)' "$dir"
done
