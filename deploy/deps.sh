#!/bin/sh
# Installs what is missing on a Debian machine; says what it does and does nothing twice.
#   deploy/deps.sh run     what the server needs: FFmpeg. Where it cannot be installed the server runs without
#   deploy/deps.sh test    what the tests need as well: C compiler (race detector), browser, OBS, GStreamer, VLC, nginx, Varnish, PostgreSQL, Redis, S3 servers
#   deploy/deps.sh s3      two S3 servers for the tests, MinIO and versitygw, built once into a cache folder outside the tree
#   deploy/deps.sh lint    the linter, built once into the same folder
set -eu

golangci=v2.15.0
minio=v0.0.0-20260212201848-7aac2a2c5b7c
versitygw=v1.8.0
cache=${XDG_CACHE_HOME:-$HOME/.cache}/mediad # the Makefile's CACHE

say() { printf 'deps: %s\n' "$*" >&2; }

# packages COMMAND=PACKAGE…: installs the packages whose command or file is not there; fails where it cannot.
packages() {
	missing=
	for pair in "$@"; do
		command -v "${pair%%=*}" >/dev/null 2>&1 || [ -e "${pair%%=*}" ] || missing="$missing ${pair#*=}"
	done
	[ -n "$missing" ] || return 0
	if ! command -v apt-get >/dev/null 2>&1; then
		say "missing:$missing; this script installs on Debian only: install them by hand"
		return 1
	fi
	as_root=
	if [ "$(id -u)" != 0 ]; then
		if ! command -v sudo >/dev/null 2>&1; then
			say "missing:$missing; neither root nor sudo: install them as root with apt-get install$missing"
			return 1
		fi
		as_root=sudo
	fi
	say "installing$missing"
	# shellcheck disable=SC2086 # lists of words
	if ! { $as_root apt-get update -q && $as_root env DEBIAN_FRONTEND=noninteractive apt-get install -qy --no-install-recommends $missing; } >/dev/null; then
		say "apt-get could not install$missing"
		return 1
	fi
}

need() {
	command -v "$1" >/dev/null 2>&1 || { say "$1 is missing: $2"; exit 1; }
}

# build NAME PATH VERSION TIME: builds a program into the cache, unless that version is there.
build() {
	[ -x "$cache/bin/$1" ] && [ -f "$cache/bin/$1-$3" ] && return 0
	say "building $1 $3 into $cache/bin (once, about $4)"
	GOBIN=$cache/bin CGO_ENABLED=0 go install -ldflags '-s -w' "$2@$3" 9>&- # not the lock of s3 below
	: >"$cache/bin/$1-$3"
}

case ${1:-run} in
run)
	need go "install Go 1.26 or newer from go.dev"
	need node "install Node.js 20.19 or newer with npm"
	need npm "install Node.js 20.19 or newer with npm"
	node -e 'const [a, b] = process.versions.node.split("."); process.exit(a > 20 || (a == 20 && b >= 19) ? 0 : 1)' || {
		say "Node.js $(node --version) is too old to build the web page: install 20.19 or newer from nodejs.org"
		exit 1
	}
	packages ffmpeg=ffmpeg || say "going on without FFmpeg: live passes through as it comes, but nothing is transcoded and make demo cannot publish"
	;;
test)
	"$0" run
	packages ffmpeg=ffmpeg gcc=gcc /usr/include/stdio.h=libc6-dev chromium=chromium Xvfb=xvfb xauth=xauth obs=obs-studio nginx=nginx curl=curl \
		/usr/lib/nginx/modules/ngx_rtmp_module.so=libnginx-mod-rtmp \
		gst-launch-1.0="gstreamer1.0-tools gstreamer1.0-plugins-base gstreamer1.0-plugins-good gstreamer1.0-plugins-bad gstreamer1.0-libav" \
		/usr/lib/nginx/modules/ngx_http_lua_module.so=libnginx-mod-http-lua varnishd=varnish pg_ctlcluster=postgresql redis-server=redis-server cvlc="vlc-bin vlc-plugin-base" import=imagemagick xdotool=xdotool \
		/usr/share/fonts/opentype/noto/NotoSansCJK-Regular.ttc=fonts-noto-cjk
	"$0" s3
	;;
s3)
	# One build at a time: CI begins it in the background and then needs it.
	mkdir -p "$cache/bin"
	if command -v flock >/dev/null 2>&1; then
		exec 9>"$cache/s3.lock"
		flock 9
	fi
	build minio github.com/minio/minio "$minio" "two and a half minutes"
	# CI has twenty minutes for a new machine: there MinIO alone speaks for the protocol.
	[ -n "${CI:-}" ] || build versitygw github.com/versity/versitygw/cmd/versitygw "$versitygw" "one minute"
	;;
lint)
	[ -x "$cache/bin/golangci-lint" ] && [ "$("$cache/bin/golangci-lint" version --short 2>/dev/null)" = "${golangci#v}" ] && exit 0
	[ -f "$cache/bin/golangci-lint-$golangci" ] && exit 0
	say "building golangci-lint $golangci into $cache/bin (once, about two minutes)"
	GOBIN=$cache/bin go install "github.com/golangci/golangci-lint/v2/cmd/golangci-lint@$golangci"
	: >"$cache/bin/golangci-lint-$golangci"
	;;
*)
	say "unknown: $1"
	exit 2
	;;
esac
