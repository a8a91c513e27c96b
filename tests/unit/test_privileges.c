/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What is given up is gone; each case in a process of its own, since it does not come back. */
#include <config.h>

#include "base/privileges.h"

#include <errno.h>
#include <linux/capability.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SANITIZED 1
#endif
#endif
#ifndef SANITIZED
#define SANITIZED 0
#endif

/* Runs @check after the drop; it returns what was wrong, or NULL. */
static void in_child(bool least, const char *(*check)(void))
{
	int status;
	pid_t child = fork();

	assert_true(child >= 0);
	if (!child) {
		struct err err;
		const char *wrong = "";

		if (privileges_drop(least, &err) < 0)
			wrong = err.text;
		else
			wrong = check();
		if (wrong)
			fprintf(stderr, "%s\n", wrong);
		_exit(wrong ? 1 : 0);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
}

static bool has(int capability)
{
	return prctl(PR_CAPBSET_READ, capability) == 1;
}

static const char *gave_up(void)
{
	static const int gone[] = { CAP_SYS_MODULE, CAP_SYS_RAWIO, CAP_SYS_BOOT, CAP_SETUID,
				    CAP_SETGID, CAP_CHOWN, CAP_KILL, CAP_SETPCAP };

	if (prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) != 1)
		return "no_new_privs is not set";
	for (size_t i = 0; !geteuid() && i < sizeof(gone) / sizeof(gone[0]); i++) {
		if (has(gone[i]))
			return "a capability is left";
	}
	return NULL;
}

static const char *kept_little(void)
{
	if (!geteuid() && (has(CAP_SYS_ADMIN) || has(CAP_DAC_OVERRIDE) || has(CAP_SYS_PTRACE)))
		return "a capability is left";
	return gave_up();
}

static const char *calls_fail(void)
{
	static const struct timespec now = { 0 };

	if (execl("/bin/true", "true", NULL) != -1 || errno != EPERM)
		return "it can run programs";
	if (mount("none", "/mnt", "tmpfs", 0, "") != -1 || errno != EPERM)
		return "it can mount";
	if (ptrace(PTRACE_TRACEME, 0, NULL, NULL) != -1 || errno != EPERM)
		return "it can be traced";
	if (clock_settime(CLOCK_REALTIME, &now) != -1 || errno != EPERM)
		return "it can set the clock";
	return NULL;
}

static const char *sockets_work(void)
{
	int fd = socket(AF_INET, SOCK_DGRAM, 0);

	return fd < 0 || close(fd) < 0 ? "no socket" : NULL;
}

static void capabilities(void **state)
{
	(void)state;
	in_child(false, gave_up);
	in_child(true, kept_little);
}

static void forbidden_calls(void **state)
{
	(void)state;
	if (SANITIZED)
		skip();
	in_child(true, calls_fail);
}

static void other_calls(void **state)
{
	(void)state;
	in_child(true, sockets_work);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(capabilities),
		cmocka_unit_test(forbidden_calls),
		cmocka_unit_test(other_calls),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
