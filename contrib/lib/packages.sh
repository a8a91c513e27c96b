# SPDX-License-Identifier: GPL-3.0-or-later
# shellcheck shell=bash
#
# The Debian packages that a build, the tests and the demonstration need, and their
# installation. Sourced by contrib/check and contrib/demo.

# packages_for build|demo|test - the names, one per line.
packages_for() {
	case $1 in
	build)
		printf '%s\n' autoconf autoconf-archive automake ca-certificates gcc git \
			libc6-dev libcap2-bin libcmocka-dev libcurl4-openssl-dev \
			libiniparser-dev libjansson-dev libnl-3-dev libnl-route-3-dev \
			libpcap-dev make pkg-config xz-utils
		;;
	demo)
		printf '%s\n' busybox-static docker.io iperf3 iproute2 tcpdump util-linux
		;;
	test)
		packages_for demo
		# llvm makes the stacks in the reports of clang's sanitizers readable.
		printf '%s\n' clang clang-tidy cppcheck ethtool gcovr iptables libclang-rt-dev \
			llvm man-db mandoc podman procps python3 python3-psutil \
			python3-pyroute2 python3-pytest python3-pytest-xdist python3-scapy \
			runc shellcheck valgrind
		;;
	esac
}

package_is_installed() {
	[ "$(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null)" = installed ]
}

# install_packages KIND... - install what is missing, ask nothing. The package lists are
# fetched only when something is missing, so that a prepared machine needs no network.
install_packages() {
	local kind name missing=()
	for kind; do
		for name in $(packages_for "$kind"); do
			package_is_installed "$name" || missing+=("$name")
		done
	done
	[ ${#missing[@]} -eq 0 ] && return 0
	export DEBIAN_FRONTEND=noninteractive
	apt-get -q update </dev/null &&
		apt-get -q -y --no-install-recommends install "${missing[@]}" </dev/null
}
