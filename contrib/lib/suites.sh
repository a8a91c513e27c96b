# SPDX-License-Identifier: GPL-3.0-or-later
# shellcheck shell=bash
#
# Builds, and the suites of tests that are run on them. Sourced by contrib/check and
# contrib/coverage, which set top, the source tree, and work, where the builds are.

: "${top:?}" "${work:?}"
jobs=$(nproc)

# The kernel's placing of memory at random is more than some sanitizer run-times stand.
steady() {
	setarch "$(uname -m)" -R "$@"
}

# build NAME CONFIGURE-ARGUMENT... - configure and compile in $work/NAME; warnings are errors.
build() {
	mkdir -p "$work/$1" && cd "$work/$1" &&
		steady "$top/configure" "${@:2}" &&
		steady make -j"$jobs" CFLAGS='-O2 -g -Werror'
}

# unit NAME - build and run the unit tests of a build.
unit() {
	steady make -C "$work/$1" -j"$jobs" CFLAGS='-O2 -g -Werror' check
}

# effort NAME - how long the long tests of a build run. What is about numbers of times is done
# in full on the default build, what is about threads on that for threads.
effort() {
	case $1 in
	default) echo RESTARTS=20 STRESS_SECONDS=10 SOAK_SECONDS=90 FUZZ_SESSION_SECONDS=10 ;;
	asan) echo RESTARTS=2 STRESS_SECONDS=10 SOAK_SECONDS=15 FUZZ_SESSION_SECONDS=60 ;;
	tsan) echo RESTARTS=2 STRESS_SECONDS=60 SOAK_SECONDS=15 FUZZ_SESSION_SECONDS=10 ;;
	coverage) echo RESTARTS=2 STRESS_SECONDS=10 SOAK_SECONDS=15 FUZZ_SESSION_SECONDS=10 ;;
	esac
}

# run_pytest NAME ARGUMENT... - where everything hangs it ends some time, with what it has
# found until then.
run_pytest() {
	# shellcheck disable=SC2046 # several assignments
	env $(effort "$1") UBRIDGE="$work/$1/ubridge" PYTHONDONTWRITEBYTECODE=1 \
		setarch "$(uname -m)" -R timeout -s INT -k 60 1200 \
		/usr/bin/python3 -m pytest -o cache_dir="$work/pytest-$1" -ra --tb=short \
		"${@:2}" tests/functional
}

# The tests mostly wait, so several files are worked on at a time. What fails then is looked
# at once more by itself: only that counts, and the log shows both.
functional() {
	run_pytest "$1" -n $((jobs + 1)) --dist loadfile && return
	echo "once more, one at a time:"
	run_pytest "$1" --last-failed --last-failed-no-failures none
}

# play NAME CASE... - conformance cases; with a sanitizer a report ends the program, or gives
# its end another status, which fails the case.
play() {
	local asan=detect_leaks=1${ASAN_OPTIONS:+:$ASAN_OPTIONS}

	ASAN_OPTIONS=$asan UBSAN_OPTIONS=halt_on_error=1 TSAN_OPTIONS=halt_on_error=1 \
		steady /usr/bin/python3 tests/conformance/conformance.py -j "$jobs" \
		--end-well --ubridge "$work/$1/ubridge" "${@:2}"
}

# All cases. The one that watches the size of the process is played on its own: the memory
# that ASan keeps back after each free is not a leak of the program.
conformance() {
	local status=0 cases

	mapfile -t cases < <(find tests/conformance -name '*.case' ! -name filter-memory.case |
		sort)
	play "$1" "${cases[@]}" || status=1
	ASAN_OPTIONS=quarantine_size_mb=0:thread_local_quarantine_size_kb=0 \
		play "$1" tests/conformance/deviations/filter-memory.case || status=1
	return $status
}
