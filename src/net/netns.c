/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <config.h>

#include "net/netns.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

/* netns_open_pid() - open the network namespace of a process
 *
 * The kernel lets only those look who may trace the process: for processes of
 * other users that takes CAP_SYS_PTRACE.
 *
 * Return: a file descriptor, closed on exec, that the caller owns, or a
 * negative errno with @err set; -ESRCH: no such process.
 */
int netns_open_pid(pid_t pid, struct err *err)
{
	char path[64];
	int fd = -1, code = ESRCH;

	if (pid > 0) {
		snprintf(path, sizeof(path), "/proc/%d/ns/net", (int)pid);
		fd = open(path, O_RDONLY | O_CLOEXEC);
		code = errno == ENOENT ? ESRCH : errno;
	}
	if (fd < 0)
		return err_sys(err, code, "network namespace of process %d", (int)pid);
	return fd;
}

/* netns_open_self() - open the network namespace of the calling thread
 *
 * Return: a file descriptor, closed on exec, that the caller owns, or a
 * negative errno with @err set.
 */
int netns_open_self(struct err *err)
{
	int fd = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return err_sys(err, errno, "own network namespace");
	return fd;
}

/* netns_same() - whether two descriptors stand for the same namespace
 *
 * Return: false also if one of them can not be examined.
 */
bool netns_same(int fd_a, int fd_b)
{
	struct stat a, b;

	if (fstat(fd_a, &a) || fstat(fd_b, &b))
		return false;
	return a.st_dev == b.st_dev && a.st_ino == b.st_ino;
}
