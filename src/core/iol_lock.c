/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <config.h>

#include "core/iol_lock.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "nio/nio_iol.h"

/* How often a lock file that vanishes under our hands is made again. */
#define LOCK_ATTEMPTS 10

static int make_directory(char *path, struct err *err)
{
	char *end = strrchr(path, '/');
	struct stat file;
	int error = 0;

	*end = '\0';
	/* whoever else may write there could replace sockets, so it must be ours alone */
	if (mkdir(path, 0700) < 0 && errno != EEXIST)
		/* NOLINTNEXTLINE(bugprone-branch-clone): two calls that may fail */
		error = errno;
	else if (lstat(path, &file) < 0)
		error = errno;
	else if (!S_ISDIR(file.st_mode) || file.st_uid != getuid())
		error = EPERM;
	else if (file.st_mode & (S_IWGRP | S_IWOTH) &&
		 chmod(path, file.st_mode & 07777 & ~(mode_t)(S_IWGRP | S_IWOTH)) < 0)
		error = errno;
	if (error)
		err_sys(err, error, "%s", path);
	*end = '/';
	return -error;
}

static int report_holder(int fd, unsigned id, const char *path, struct err *err)
{
	struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET };

	if (!fcntl(fd, F_GETLK, &lock) && lock.l_type != F_UNLCK)
		return err_set(err, EBUSY, "PID %d already has a lock on ID %u", lock.l_pid, id);
	return err_set(err, EBUSY, "could not get lock on %s", path);
}

/* Whoever held the lock before may have removed the file between our opening and locking it. */
static bool is_still_there(int fd, const char *path)
{
	struct stat locked, named;

	return !fstat(fd, &locked) && !lstat(path, &named) && locked.st_dev == named.st_dev &&
	       locked.st_ino == named.st_ino;
}

/* A locked descriptor, or a negative errno with @err set. */
static int open_locked(unsigned id, const char *path, struct err *err)
{
	struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET };

	for (int attempts = 0; attempts < LOCK_ATTEMPTS; attempts++) {
		AUTO_CLOSE int fd = open(path, O_RDWR | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC,
					 0600);

		if (fd < 0)
			break;
		if (fcntl(fd, F_SETLK, &lock) < 0)
			return report_holder(fd, id, path, err);
		if (is_still_there(fd, path))
			return take_fd(&fd);
	}
	return err_set(err, errno ? errno : EAGAIN, "could not get lock on %s", path);
}

/* iol_lock() - claim an IOL id for this process
 * @path: where the lock file's path goes
 *
 * The lock is held until the returned descriptor is closed, or any other one of
 * this process on the same file: such are POSIX locks, and IOL knows no others.
 *
 * Return: the descriptor, or a negative errno with @err set.
 */
int iol_lock(unsigned id, char *path, size_t size, struct err *err)
{
	AUTO_CLOSE int fd = -1;

	if (iol_socket_path(path, size, id, ".lck") < 0)
		return err_sys(err, ENAMETOOLONG, "lock file");
	if (make_directory(path, err) < 0)
		return err_set(err, err->code, "could not get lock on %s", path);
	fd = open_locked(id, path, err);
	if (fd < 0)
		return fd;
	if (ftruncate(fd, 0) < 0 || dprintf(fd, "%d\n", getpid()) < 0)
		return err_set(err, errno, "could not get lock on %s", path);
	return take_fd(&fd);
}
