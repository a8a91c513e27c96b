# SPDX-License-Identifier: GPL-3.0-or-later
# shellcheck shell=bash
#
# Counting checks. Every step writes its output into a log and its result, "passed failed",
# into a file next to it, so that steps may run in the background; report_total adds up.
# Sourced by contrib/check, which sets report_dir.

: "${report_dir:?}"
report_tail=80

# run_step NAME COMMAND... - a command that is one check.
run_step() {
	run_suite "$1" count_nothing "${@:2}"
}

# run_suite NAME COUNTER COMMAND... - a command that is many checks: COUNTER LOG prints
# "passed failed". A suite that fails without saying what failed counts as one failure, and
# so does one that ran nothing. Its exit status is that of the command.
run_suite() {
	local name=$1 counter=$2 log=$report_dir/$1.log begin=$SECONDS status=0 passed failed
	("${@:3}") >"$log" 2>&1 </dev/null || status=$?
	read -r passed failed < <("$counter" "$log")
	if [ "$counter" = count_nothing ]; then
		[ $status -eq 0 ] && passed=1 || failed=1
	elif [ $((passed + failed)) -eq 0 ] || { [ $status -ne 0 ] && [ "$failed" -eq 0 ]; }; then
		failed=1
	fi
	echo "$passed $failed" >"$report_dir/$name.result"
	if [ "$failed" -eq 0 ]; then
		printf 'ok    %-28s %4d passed  %4d s\n' "$name" "$passed" $((SECONDS - begin))
	else
		printf 'FAIL  %-28s %4d passed, %d failed  %4d s; the end of %s:\n' "$name" \
			"$passed" "$failed" $((SECONDS - begin)) "$log"
		tail -n "$report_tail" "$log" | sed 's/^/      | /'
	fi
	return $status
}

count_nothing() {
	echo 0 0
}

# What automake's test driver sums up. A skipped test is a failed one: nothing that the
# packages of contrib/lib/packages.sh and root can provide may be missing here.
count_automake() {
	awk '/^# (PASS|XFAIL): / { passed += $3 }
	     /^# (SKIP|FAIL|XPASS|ERROR): / { failed += $3 }
	     END { print passed + 0, failed + 0 }' "$1"
}

# What failed and was tried once more is in the last summary only.
count_pytest() {
	awk '/^=+ .* in [0-9.]+s/ {
		failed = 0
		for (i = 2; i < NF; i++) {
			if ($i ~ /^(passed|xfailed),?$/)
				passed += $(i - 1)
			if ($i ~ /^skipped,?$/)
				skipped += $(i - 1)
			if ($i ~ /^(failed|errors?|xpassed),?$/)
				failed += $(i - 1)
		}
	     }
	     END { print passed + 0, failed + skipped }' "$1"
}

count_conformance() {
	awk '/^[0-9]+ passed, [0-9]+ failed$/ { passed += $1; failed += $3 }
	     END { print passed + 0, failed + 0 }' "$1"
}

# report_total - the last line; fails when anything failed or nothing ran.
report_total() {
	cat "$report_dir"/*.result 2>/dev/null |
		awk '{ passed += $1; failed += $2 }
		     END {
			printf "%d passed, %d failed\n", passed, failed
			exit failed > 0 || passed == 0
		     }'
}
