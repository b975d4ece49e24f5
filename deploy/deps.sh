#!/bin/sh
# Installs what is missing on a Debian machine; says what it does and does nothing twice.
#   deploy/deps.sh run     what the server needs: FFmpeg
#   deploy/deps.sh test    what the tests need as well: browser, OBS, GStreamer, VLC, nginx
#   deploy/deps.sh lint    the linter, built once into a cache folder outside the tree
set -eu

golangci=v2.15.0
cache=${MEDIAD_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/mediad}

say() { printf 'deps: %s\n' "$*" >&2; }

# packages COMMAND=PACKAGE…: installs the packages whose command is not there.
packages() {
	missing=
	for pair in "$@"; do
		command -v "${pair%%=*}" >/dev/null 2>&1 || [ -e "${pair%%=*}" ] || missing="$missing ${pair#*=}"
	done
	[ -n "$missing" ] || return 0
	if ! command -v apt-get >/dev/null 2>&1; then
		say "missing:$missing; this script installs them on Debian only: install them by hand"
		exit 1
	fi
	sudo=
	[ "$(id -u)" = 0 ] || sudo=sudo
	say "installing$missing"
	$sudo apt-get update -q >/dev/null
	# shellcheck disable=SC2086
	DEBIAN_FRONTEND=noninteractive $sudo apt-get install -qy --no-install-recommends $missing >/dev/null
}

need() {
	command -v "$1" >/dev/null 2>&1 || { say "$1 is missing: $2"; exit 1; }
}

case ${1:-run} in
run)
	need go "install Go 1.26 or newer from go.dev"
	need npm "install Node.js 20 or newer with npm"
	packages ffmpeg=ffmpeg
	;;
test)
	"$0" run
	packages chromium=chromium Xvfb=xvfb xauth=xauth obs=obs-studio nginx=nginx \
		/usr/lib/nginx/modules/ngx_rtmp_module.so=libnginx-mod-rtmp \
		gst-launch-1.0="gstreamer1.0-tools gstreamer1.0-plugins-base gstreamer1.0-plugins-good gstreamer1.0-plugins-bad gstreamer1.0-libav" \
		cvlc="vlc-bin vlc-plugin-base" import=imagemagick xdotool=xdotool \
		/usr/share/fonts/opentype/noto/NotoSansCJK-Regular.ttc=fonts-noto-cjk
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
