#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# Each header compiles alone, and twice.
cd "${srcdir:-$(dirname "$0")/../..}" || exit 1
failed=0 count=0
for header in $(find src -name '*.h' | sort); do
	count=$((count + 1))
	name=${header#src/}
	printf '#include "%s"\n#include "%s"\n' "$name" "$name" |
		${CC:-cc} -std=gnu11 -D_GNU_SOURCE -Wall -Wextra -Werror -Isrc -fsyntax-only -x c - ||
		{ echo "$header does not compile alone"; failed=1; }
done
[ "$count" -gt 0 ] || { echo "no headers found"; failed=1; }
exit $failed
