# SPDX-License-Identifier: GPL-3.0-or-later
# shellcheck shell=bash
#
# A private Docker Engine that touches nothing of the system's own: everything it has lies
# below one directory (keep its path short, it holds sockets), and it sets up no network.
# Sourced by contrib/demo; the functional tests use engine_exec.

# engine_exec DIR [OPTION]... - become the engine.
engine_exec() {
	mkdir -p "$1"
	exec dockerd --data-root "$1/data" --exec-root "$1/exec" --pidfile "$1/pid" \
		--host "unix://$1/docker.sock" --bridge=none --iptables=false --ip6tables=false \
		"${@:2}"
}

engine_answers() {
	timeout 10 docker version >/dev/null 2>&1
}

# engine_start DIR - start an engine, wait until it answers, point DOCKER_HOST at it.
engine_start() {
	local tries
	mkdir -p "$1"
	(engine_exec "$1") >"$1/log" 2>&1 </dev/null &
	engine_pid=$!
	export DOCKER_HOST="unix://$1/docker.sock"
	for ((tries = 0; tries < 300; tries++)); do
		engine_answers && return 0
		kill -0 "$engine_pid" 2>/dev/null || break
		sleep 0.1
	done
	tail -n 5 "$1/log" >&2
	engine_stop "$1"
	unset DOCKER_HOST
	return 1
}

# engine_stop DIR - remove its containers, end it, delete DIR.
engine_stop() {
	if kill -0 "$engine_pid" 2>/dev/null; then
		docker ps -aq 2>/dev/null | xargs -r docker rm -f >/dev/null 2>&1
		kill "$engine_pid"
		wait "$engine_pid"
	fi 2>/dev/null
	engine_sweep "$1"
}

# engine_sweep DIR - unmount what a dead engine left below DIR, and delete DIR.
engine_sweep() {
	local dir
	dir=$(realpath -- "$1") || return 0
	awk -v d="$dir/" 'index($2, d) == 1 { print $2 }' /proc/mounts | sort -r |
		xargs -r umount -l
	rm -rf --one-file-system -- "$dir"
}
