/* SPDX-License-Identifier: GPL-3.0-or-later */
/* core/iol_lock: who gets an IOL id, and what the lock file says; against a second process */
#include <config.h>

#include "core/iol_lock.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

/* GNS3 gives out much smaller ones. */
#define ID 65333u

static char path[108];

static int make_path(void **state)
{
	(void)state;
	snprintf(path, sizeof(path), "/tmp/netio%u/%u.lck", (unsigned)getuid(), ID);
	return 0;
}

static int remove_file(void **state)
{
	(void)state;
	unlink(path);
	rmdir(path);
	return 0;
}

static int lock(struct err *err)
{
	char got[sizeof(path)];
	int fd = iol_lock(ID, got, sizeof(got), err);

	assert_string_equal(got, path);
	return fd;
}

static void write_file(const char *text)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	close(fd);
}

static void assert_file_has_our_pid(void)
{
	char text[64] = "", want[64];
	struct stat file;
	int fd = open(path, O_RDONLY);

	assert_true(read(fd, text, sizeof(text) - 1) > 0);
	assert_int_equal(fstat(fd, &file), 0);
	assert_int_equal(file.st_mode & 07777, 0600);
	close(fd);
	snprintf(want, sizeof(want), "%d\n", getpid());
	assert_string_equal(text, want);
}

static void a_free_id(void **state)
{
	struct err err;
	int fd = lock(&err);

	(void)state;
	assert_true(fd >= 0);
	assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
	assert_file_has_our_pid();
	close(fd);
}

static void a_stale_file_is_taken_over(void **state)
{
	static const char *const contents[] = { "", "1\n", "99999999999999999999999\n",
						"junk" };
	struct err err;

	(void)state;
	for (size_t i = 0; i < sizeof(contents) / sizeof(contents[0]); i++) {
		int fd;

		write_file(contents[i]);
		fd = lock(&err);
		assert_true(fd >= 0);
		assert_file_has_our_pid();
		close(fd);
	}
}

/* A process that holds the lock until the returned pipe is closed. */
static pid_t other_process(int *release)
{
	struct flock whole = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
	int ready[2], end[2];
	char byte = 0;
	pid_t pid;

	assert_int_equal(pipe(ready) | pipe(end), 0);
	pid = fork();
	if (!pid) {
		int fd = open(path, O_RDWR);

		close(end[1]);
		if (fcntl(fd, F_SETLK, &whole) == 0 && write(ready[1], &byte, 1) == 1)
			_exit(read(end[0], &byte, 1) != 0);
		_exit(1);
	}
	close(ready[1]);
	close(end[0]);
	assert_int_equal(read(ready[0], &byte, 1), 1);
	close(ready[0]);
	*release = end[1];
	return pid;
}

static void an_id_that_another_process_has(void **state)
{
	char want[64], text[64] = "";
	int release, fd, status;
	struct err err;
	pid_t pid;

	(void)state;
	write_file("untouched");
	pid = other_process(&release);
	assert_int_equal(lock(&err), -EBUSY);
	snprintf(want, sizeof(want), "PID %d already has a lock on ID %u", pid, ID);
	assert_string_equal(err.text, want);
	fd = open(path, O_RDONLY);
	assert_int_equal(read(fd, text, sizeof(text)), strlen("untouched"));
	assert_string_equal(text, "untouched");
	close(fd);
	close(release);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	/* the lock has gone with its process */
	fd = lock(&err);
	assert_true(fd >= 0);
	close(fd);
}

static void somebody_else_s_file_is_not_followed(void **state)
{
	char want[160];
	struct err err;

	(void)state;
	assert_int_equal(symlink("/nowhere/at/all", path), 0);
	assert_int_equal(lock(&err), -ELOOP);
	snprintf(want, sizeof(want), "could not get lock on %s", path);
	assert_string_equal(err.text, want);
	remove_file(NULL);
	assert_int_equal(mkdir(path, 0700), 0);
	assert_int_equal(lock(&err), -EISDIR);
	assert_string_equal(err.text, want);
}

static void a_path_that_does_not_fit(void **state)
{
	char little[10];
	struct err err;

	(void)state;
	assert_int_equal(iol_lock(ID, little, sizeof(little), &err), -ENAMETOOLONG);
	assert_true(*err.text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(a_free_id, remove_file),
		cmocka_unit_test_teardown(a_stale_file_is_taken_over, remove_file),
		cmocka_unit_test_teardown(an_id_that_another_process_has, remove_file),
		cmocka_unit_test_teardown(somebody_else_s_file_is_not_followed, remove_file),
		cmocka_unit_test(a_path_that_does_not_fit),
	};

	return cmocka_run_group_tests(tests, make_path, NULL);
}
