/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <config.h>

#include "core/iol_lock.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "nio/nio_iol.h"

static int make_directory(char *path, struct err *err)
{
	char *end = strrchr(path, '/');
	struct stat file;
	int error = 0;

	*end = '\0';
	/* whoever else may write there could replace sockets, so it must be ours alone */
	if (mkdir(path, 0700) < 0 && errno != EEXIST)
		error = errno;
	else if (lstat(path, &file) < 0)
		error = errno;
	else if (!S_ISDIR(file.st_mode) || file.st_uid != getuid())
		error = EPERM;
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
	struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
	AUTO_CLOSE int fd = -1;
	int result;

	if (iol_socket_path(path, size, id, ".lck") < 0)
		return err_sys(err, ENAMETOOLONG, "lock file");
	if (make_directory(path, err) < 0)
		return err_set(err, err->code, "could not get lock on %s", path);
	fd = open(path, O_RDWR | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0600);
	if (fd < 0)
		return err_set(err, errno, "could not get lock on %s", path);
	if (fcntl(fd, F_SETLK, &lock) < 0)
		return report_holder(fd, id, path, err);
	if (ftruncate(fd, 0) < 0 || dprintf(fd, "%d\n", getpid()) < 0)
		return err_set(err, errno, "could not get lock on %s", path);
	result = fd;
	fd = -1;
	return result;
}
