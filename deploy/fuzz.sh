#!/bin/sh
# Runs every fuzz target of the project for the given time each, one after the other; stops at the first that fails.
set -eu
time=${1:-1m}
grep -rlE '^func Fuzz' --include='*_test.go' . | grep -v node_modules | while read -r file; do
	dir=$(dirname "$file")
	sed -nE 's/^func (Fuzz[A-Za-z0-9_]*)\(.*/\1/p' "$file" | while read -r target; do
		printf 'fuzz: %s %s for %s\n' "$dir" "$target" "$time"
		go test -run '^$' -fuzz "^$target\$" -fuzztime "$time" -fuzzminimizetime 100x "$dir"
	done
done
