/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <config.h>

#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"

/* A pipe that nobody reads must not block the caller, so it is an error. */
#define FLAGS (O_WRONLY | O_CREAT | O_CLOEXEC | O_NONBLOCK | O_NOCTTY)

static int open_directory_of(const char *path, const char *name)
{
	AUTO_FREE char *directory = strndup(path, (size_t)(name - path));

	if (!directory) {
		errno = ENOMEM;
		return -1;
	}
	/* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): directory is AUTO_FREE */
	return open(*directory ? directory : ".", O_PATH | O_DIRECTORY | O_CLOEXEC);
}

/* Everybody may put files there, and only their owners may take them away: /tmp. */
static bool is_shared(const struct stat *directory)
{
	return directory->st_mode & S_ISVTX && directory->st_mode & S_IWOTH;
}

static bool is_trusted(uid_t owner, const struct stat *directory)
{
	return owner == geteuid() || owner == directory->st_uid;
}

/* Follows a link only if it is one's own, or of whom the directory belongs to. Nobody
 * else can replace such a link between the look and the open.
 */
static int open_shared(int place, const struct stat *directory, const char *name, mode_t mode)
{
	int fd = openat(place, name, FLAGS | O_NOFOLLOW, mode);
	struct stat link;

	if (fd >= 0 || errno != ELOOP)
		return fd;
	if (fstatat(place, name, &link, AT_SYMLINK_NOFOLLOW) < 0)
		return -1;
	if (!is_trusted(link.st_uid, directory)) {
		errno = EACCES;
		return -1;
	}
	return openat(place, name, FLAGS, mode);
}

/* A file that somebody else has laid there, or that has another name somewhere. */
static bool is_planted(const struct stat *file, const struct stat *directory)
{
	return !is_trusted(file->st_uid, directory) || file->st_nlink > 1;
}

static int check_and_empty(int fd, const struct stat *directory)
{
	struct stat file;

	if (fstat(fd, &file) < 0)
		return -errno;
	if (is_shared(directory) && is_planted(&file, directory))
		return -EACCES;
	if (S_ISREG(file.st_mode) && ftruncate(fd, 0) < 0)
		return -errno;
	return 0;
}

/* file_create() - open a file for writing, empty, made if it is not there
 *
 * In a directory that everybody may write to, such as /tmp, other users can not make
 * the program write elsewhere: neither their links are followed nor their files taken.
 * The rights are those of the calling thread.
 *
 * Return: a descriptor that does not block, or a negative errno with @err set.
 */
int file_create(const char *path, mode_t mode, struct err *err)
{
	const char *slash = strrchr(path, '/');
	const char *name = slash ? slash + 1 : path;
	AUTO_CLOSE int place = open_directory_of(path, name);
	AUTO_CLOSE int fd = -1;
	struct stat directory;
	int error;

	if (place < 0 || fstat(place, &directory) < 0)
		return err_sys(err, errno, "%s", path);
	fd = is_shared(&directory) ? open_shared(place, &directory, name, mode) :
				     openat(place, name, FLAGS, mode);
	if (fd < 0)
		return err_sys(err, errno, "%s", path);
	error = check_and_empty(fd, &directory);
	if (error)
		return err_sys(err, -error, "%s", path);
	return take_fd(&fd);
}
