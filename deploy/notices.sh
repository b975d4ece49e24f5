#!/bin/sh
# Prints THIRD_PARTY.md: every module and package that the binary contains, with version, licence and the licence's text, each text
# once. Fails where a licence is not known.
#   deploy/notices.sh >THIRD_PARTY.md
set -eu
cd "$(dirname "$0")/.."
[ -d web/node_modules ] || { echo "notices: web/node_modules is missing: run make web" >&2; exit 1; }
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

texts() { # DIR: the files that hold licence and notices; where there are none, the head of a source file that has the text
	found=$(find "$1" -maxdepth 1 -type f \( -iname 'licen[sc]e*' -o -iname 'copying*' -o -iname 'notice*' \) | sort)
	if [ -z "$found" ]; then
		source=$(grep -rl --include='*.go' --exclude='*_test.go' 'Redistribution and use' "$1" | sort | head -n 1)
		[ -n "$source" ] || return 0
		found=$work/$(printf '%s' "$1" | sha256sum | cut -c1-12).licence
		sed -n '/^\/\//!q; s/^\/\/ \{0,1\}//p' "$source" >"$found"
	fi
	printf '%s\n' "$found"
}

licence() { # DIR
	file=$(texts "$1" | grep -iv notice | head -n 1)
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

keep() { # NAME VERSION DIR: remembers the texts of a work, equal ones once
	texts "$3" | while read -r file; do
		tr -d '\r' <"$file" >"$work/text"
		sum=$(sha256sum "$work/text" | cut -c1-16)
		cp "$work/text" "$work/$sum.text"
		printf '%s %s\n' "$1" "$2" >>"$work/$sum.works"
	done
}

row() { # NAME VERSION LICENCE
	case $3 in
	unknown | undefined | '') echo "notices: the licence of $1 $2 is not known" >&2; exit 1 ;;
	esac
	printf '| %s | %s | %s |\n' "$1" "$2" "$3"
}

cat <<'HEAD'
# Third-party notices

mediad contains the following works. Each stays under its own licence; the texts follow below. Made by `deploy/notices.sh`. FFmpeg is run as
a separate program and is not part of mediad.

## Go modules

| module | version | licence |
|---|---|---|
HEAD
go list -deps -f '{{with .Module}}{{if not .Main}}{{.Path}} {{.Version}} {{.Dir}}{{end}}{{end}}' ./cmd/mediad | sort -u >"$work/modules"
printf 'Go %s %s\n' "$(go env GOVERSION)" "$(go env GOROOT)" >>"$work/modules"
while read -r path version dir; do
	[ -n "$path" ] || continue
	row "$path" "$version" "$(licence "$dir")"
	keep "$path" "$version" "$dir"
done <"$work/modules"
cat <<'HEAD'

## Packages of the web page

What the page's dependencies name; the build leaves out what it does not use.

| package | version | licence |
|---|---|---|
HEAD
(cd web && npm ls --omit=dev --all --parseable 2>/dev/null || true) | tail -n +2 | sort -u | while read -r dir; do
	[ -f "$dir/package.json" ] || continue
	node -e 'const dir = process.argv[1], p = require(dir + "/package.json"), name = l => l.type ?? l
		console.log(p.name, p.version, [].concat(p.license ?? p.licenses).map(name).join("/"), dir)' "$dir"
done | sort -u -k1,2 >"$work/packages"
while read -r name version licence dir; do
	row "$name" "$version" "$licence"
	keep "$name" "$version" "$dir"
done <"$work/packages"

printf '\n## Texts\n'
for works in $(for f in "$work"/*.works; do printf '%s %s\n' "$(head -n 1 "$f")" "$f"; done | sort | sed 's/.* //'); do
	printf '\n### %s\n\n```\n' "$(sort -u "$works" | paste -sd, - | sed 's/,/, /g')"
	sed -e 's/[[:space:]]*$//' -e 's/```/` ` `/g' "${works%.works}.text" | cat -s
	printf '```\n'
done
