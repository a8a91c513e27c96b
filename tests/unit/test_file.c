/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <config.h>

#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static char directory[] = "/tmp/ubfXXXXXX";

static int set_up(void **state)
{
	(void)state;
	strcpy(directory + sizeof(directory) - 7, "XXXXXX");
	return mkdtemp(directory) && !chdir(directory) ? 0 : -1;
}

static int tear_down(void **state)
{
	static const char *const names[] = { "file", "link", "target", "pipe" };

	(void)state;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		unlink(names[i]);
	return chdir("/") < 0 || rmdir(directory) < 0;
}

static void fill(const char *name)
{
	int fd = open(name, O_WRONLY | O_CREAT | O_TRUNC, 0644);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, "full", 4), 4);
	close(fd);
}

static off_t size_of(const char *name)
{
	struct stat file;

	return stat(name, &file) < 0 ? -1 : file.st_size;
}

/* Opens @path; 0 or the error, which has a text with the path in it. */
static int create(const char *path)
{
	struct err err;
	int fd = file_create(path, 0640, &err);

	if (fd < 0) {
		assert_int_equal(err.code, -fd);
		assert_non_null(strstr(err.text, path));
		return fd;
	}
	assert_int_equal(write(fd, "x", 1), 1);
	close(fd);
	return 0;
}

static void makes_and_empties(void **state)
{
	char absolute[64];

	(void)state;
	assert_int_equal(create("file"), 0);
	fill("file");
	assert_int_equal(create("./file"), 0);
	assert_int_equal(size_of("file"), 1);
	fill("file");
	snprintf(absolute, sizeof(absolute), "%s/file", directory);
	assert_int_equal(create(absolute), 0);
	assert_int_equal(size_of("file"), 1);
}

static void refuses_what_is_no_file(void **state)
{
	static const struct {
		const char *path;
		int error;
	} rows[] = {
		{ "", -ENOENT },	{ "no/such", -ENOENT }, { "target/", -ENOTDIR },
		{ "/", -ENOENT },	{ ".", -EISDIR },	{ "target/file", -ENOTDIR },
		{ "pipe", -ENXIO },
	};

	(void)state;
	fill("target");
	assert_int_equal(mkfifo("pipe", 0600), 0);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		assert_int_equal(create(rows[i].path), rows[i].error);
	assert_int_equal(size_of("target"), 4);
}

static void follows_links_in_directories_of_ones_own(void **state)
{
	(void)state;
	fill("target");
	assert_int_equal(symlink("target", "link"), 0);
	assert_int_equal(create("link"), 0);
	assert_int_equal(size_of("target"), 1);
}

/* Links and files of others need another user: tests/functional/test_privileges.py. */
static void shared_directory(void **state)
{
	(void)state;
	assert_int_equal(chmod(".", 01777), 0);
	fill("target");
	assert_int_equal(symlink("target", "link"), 0);
	assert_int_equal(create("link"), 0);
	assert_int_equal(size_of("target"), 1);
	fill("target");
	assert_int_equal(link("target", "file"), 0);
	assert_int_equal(create("file"), -EACCES);
	assert_int_equal(size_of("target"), 4);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(makes_and_empties, set_up, tear_down),
		cmocka_unit_test_setup_teardown(refuses_what_is_no_file, set_up, tear_down),
		cmocka_unit_test_setup_teardown(follows_links_in_directories_of_ones_own, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(shared_directory, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
