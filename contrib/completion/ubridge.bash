# SPDX-License-Identifier: GPL-3.0-or-later
# shellcheck shell=bash
#
# Completion of the options of ubridge.

_ubridge() {
	local word=$2 before=$3

	COMPREPLY=()
	case $before in
	-f | --file)
		mapfile -t COMPREPLY < <(compgen -f -- "$word")
		compopt -o filenames 2>/dev/null
		;;
	-U | --unix)
		mapfile -t COMPREPLY < <(compgen -f -- "$word")
		compopt -o filenames 2>/dev/null
		;;
	-H | --hypervisor)
		# a colon separates words, so only the last part is at hand
		[ -n "$word" ] || COMPREPLY=(4242 127.0.0.1:4242)
		;;
	-d | --debug)
		mapfile -t COMPREPLY < <(compgen -W "0 1 2" -- "$word")
		;;
	--workers | --seed | --delay-frames | --max-clients | --max-bridges) ;;
	*)
		mapfile -t COMPREPLY < <(compgen -W "-h -f -H -e -d -v --help --file
			--hypervisor --devices --debug --version --workers --seed --delay-frames
			--no-offload --no-replug -U
			--unix --same-user --max-clients --max-bridges
			--least-privilege" -- "$word")
		;;
	esac
} && complete -F _ubridge ubridge
