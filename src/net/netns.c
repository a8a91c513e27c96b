/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <config.h>

#include "net/netns.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <sys/stat.h>

#include "base/thread.h"

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

struct visit {
	int fd;
	int (*run)(void *arg, struct err *err);
	void *arg;
	struct err *err;
	int result;
};

static void *visit(void *arg)
{
	struct visit *self = arg;

	if (setns(self->fd, CLONE_NEWNET) < 0)
		self->result = err_sys(self->err, errno, "network namespace");
	else
		self->result = self->run(self->arg, self->err);
	return NULL;
}

/* netns_run() - have @run(@arg) done in a network namespace, and wait for it
 *
 * It runs on a thread of its own that ends then, since a thread that can not get
 * back would be of no use. Takes CAP_SYS_ADMIN.
 *
 * Return: what @run returned, or a negative errno with @err set.
 */
int netns_run(int fd, int (*run)(void *arg, struct err *err), void *arg, struct err *err)
{
	struct visit self = { .fd = fd, .run = run, .arg = arg, .err = err };
	pthread_t thread;
	int error = thread_start(&thread, visit, &self);

	if (error)
		return err_sys(err, -error, "thread");
	pthread_join(thread, NULL);
	return self.result;
}
