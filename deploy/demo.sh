#!/bin/sh
# Publishes a moving test picture with sound to the stream "demo" of the server on this machine, with a key made for it.
#   deploy/demo.sh [--config FILE]    the configuration that the server runs with
# Ports and data folder are those of that configuration: where they were moved by variables (MEDIAD_…), set these here too.
# HOST and RTMP_PORT name another server; KEY a key you have.
set -eu
port_of() { # KEY [--config FILE]
	key=$1
	shift
	bin/mediad config print "$@" | sed -nE "s/^$key: *\"?[^\"#]*:([0-9]+)\"?.*/\1/p"
}
host=${HOST:-127.0.0.1}
port=${RTMP_PORT:-$(port_of rtmp.addr "$@")}
page=${HTTP_PORT:-$(port_of http.addr "$@")}
if [ -z "$port" ]; then
	echo 'demo: the server takes no RTMP: rtmp.addr is empty' >&2
	exit 1
fi
if [ -z "${KEY:-}" ]; then
	# A key made in another data folder than the server's would only be refused.
	data=$(bin/mediad config print "$@" | sed -n 's/^data_dir: *//p' | sed 's/ *# set$//')
	if [ -z "${HOST:-}" ] && command -v flock >/dev/null && { [ ! -e "$data/lock" ] || flock -n "$data/lock" true; }; then
		echo "demo: no server runs on the data folder $data. Start it (make run), or tell the demo what the server was told:" >&2
		echo 'demo:   MEDIAD_DATA_DIR=… make demo, or make demo ARGS="--config FILE"; or a key you have: KEY=… make demo' >&2
		exit 1
	fi
	bin/mediad stream create "$@" --slug demo --title "Demo" --if-missing >/dev/null
	KEY=$(bin/mediad stream rotate-key "$@" --quiet demo)
fi
printf 'demo: publishing to rtmp://%s:%s/live; watch at http://%s:%s/watch/demo; Ctrl-C ends it\n' "$host" "$port" "$host" "${page:-8080}"
exec ffmpeg -hide_banner -loglevel warning -re \
	-f lavfi -i "testsrc2=size=1280x720:rate=30" \
	-f lavfi -i "sine=frequency=330:beep_factor=4:sample_rate=48000" \
	-vf "drawtext=text='%{localtime\:%H\\\\\:%M\\\\\:%S}':x=40:y=40:fontsize=64:fontcolor=white:box=1:boxcolor=black@0.5:boxborderw=12" \
	-c:v libx264 -preset veryfast -tune zerolatency -pix_fmt yuv420p -b:v 2500k -maxrate 2500k -bufsize 2500k -g 60 -keyint_min 60 -sc_threshold 0 \
	-c:a aac -b:a 128k -ac 2 -f flv "rtmp://$host:$port/live/$KEY"
