# SPDX-License-Identifier: GPL-3.0-or-later
# shellcheck shell=bash
#
# Which lines of src/ have run. A program counts them in files next to its objects when it
# ends; but tests run it as other users, and where /tmp is another one. So the files are
# elsewhere until the end. Sourced by contrib/check and contrib/coverage, which set top, the
# source tree, and work, where the builds are.

: "${top:?}" "${work:?}"
coverage_minimum=85	# percent of the lines of src/

# coverage_begin NAME - what runs from now on of a build counts.
coverage_begin() {
	local file
	GCOV_PREFIX=$(mktemp -d /var/tmp/ubridge-coverage.XXXXXX) || return
	while read -r file; do
		mkdir -p "$GCOV_PREFIX${file%/*}"
		: >"$GCOV_PREFIX${file%.gcno}.gcda"
	done < <(find "$work/$1" -name '*.gcno')
	chmod -R a+rwX "$GCOV_PREFIX"
	export GCOV_PREFIX
}

# coverage_report NAME - print the lines of each file and of all; fails when there are too few.
# The same in HTML, with the source, is in coverage/ of the build.
coverage_report() {
	find "$GCOV_PREFIX" -name '*.gcda' -empty -delete
	cp -r "$GCOV_PREFIX$work/$1/." "$work/$1/" &&
		mkdir -p "$work/$1/coverage" && cd "$work/$1" &&
		gcovr -j "$(nproc)" --root "$top" --filter "$top/src/" --object-directory . \
			--txt --html-details coverage/index.html \
			--fail-under-line "$coverage_minimum" .
}

coverage_end() {
	[ -n "${GCOV_PREFIX:-}" ] && rm -rf -- "$GCOV_PREFIX"
	unset GCOV_PREFIX
}
