/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <config.h>

#include "base/kernel.h"

#include <stdio.h>
#include <sys/utsname.h>

/* kernel_is_before() - whether the running kernel is older than version @major.@minor
 *
 * Only for faults that cannot be asked for: features are to be tried instead. One
 * that does not tell its version counts as new. Thread-safe.
 */
bool kernel_is_before(int major, int minor)
{
	struct utsname system;
	int running_major, running_minor;

	if (uname(&system) < 0 ||
	    /* NOLINTNEXTLINE(cert-err34-c): printed by the kernel */
	    sscanf(system.release, "%d.%d", &running_major, &running_minor) != 2)
		return false;
	return running_major < major || (running_major == major && running_minor < minor);
}
