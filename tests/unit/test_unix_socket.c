/* SPDX-License-Identifier: GPL-3.0-or-later */
/* nio/unix_socket: which files are replaced and removed; datagrams there and back */
#include <config.h>

#include "nio/unix_socket.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/cleanup.h"

#define COUNT(rows) (sizeof(rows) / sizeof((rows)[0]))

static char directory[] = "/tmp/ubridge-unit-XXXXXX", path[64], other[64];

static int make_directory(void **state)
{
	(void)state;
	if (!mkdtemp(directory))
		return -1;
	snprintf(path, sizeof(path), "%s/socket", directory);
	snprintf(other, sizeof(other), "%s/other", directory);
	return 0;
}

static int remove_directory(void **state)
{
	(void)state;
	return rmdir(directory);
}

static int remove_files(void **state)
{
	(void)state;
	unlink(path);
	unlink(other);
	return 0;
}

static bool is_there(void)
{
	struct stat file;

	return !lstat(path, &file);
}

/* ---- what stands in the way */

static int bind_socket(int type)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, type, 0);

	strcpy(address.sun_path, path);
	assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	return fd;
}

static int nothing(void)
{
	return -1;
}

static int stale_socket(void)
{
	close(bind_socket(SOCK_DGRAM));
	return -1;
}

static int stale_stream_socket(void)
{
	close(bind_socket(SOCK_STREAM));
	return -1;
}

static int live_socket(void)
{
	return bind_socket(SOCK_DGRAM);
}

static int live_stream_socket(void)
{
	int fd = bind_socket(SOCK_STREAM);

	listen(fd, 1);
	return fd;
}

static int regular_file(void)
{
	close(open(path, O_CREAT | O_WRONLY, 0600));
	return -1;
}

static int a_directory(void)
{
	assert_int_equal(mkdir(path, 0700), 0);
	return -1;
}

static int link_to_nowhere(void)
{
	assert_int_equal(symlink("/nowhere/at/all", path), 0);
	return -1;
}

static int link_to_stale_socket(void)
{
	stale_socket();
	assert_int_equal(rename(path, other), 0);
	assert_int_equal(symlink(other, path), 0);
	return -1;
}

static void only_stale_sockets_are_replaced(void **state)
{
	static const struct {
		const char *name;
		int (*make)(void);
		bool opens;
	} rows[] = {
		{ "nothing", nothing, true },
		{ "a stale socket", stale_socket, true },
		{ "a stale stream socket", stale_stream_socket, true },
		{ "a socket that is served", live_socket, false },
		{ "a stream socket that is served", live_stream_socket, false },
		{ "a regular file", regular_file, false },
		{ "a directory", a_directory, false },
		{ "a link to nowhere", link_to_nowhere, false },
		{ "a link to a stale socket", link_to_stale_socket, false },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		int holder = rows[i].make();
		struct unix_socket unix_socket;
		struct stat before, after;
		struct err err;

		print_message("%s\n", rows[i].name);
		lstat(path, &before);
		if (rows[i].opens) {
			assert_int_equal(unix_socket_open(&unix_socket, path, &err), 0);
			assert_true(is_there());
			unix_socket_close(&unix_socket);
			assert_false(is_there());
			continue;
		}
		assert_int_equal(unix_socket_open(&unix_socket, path, &err), -EADDRINUSE);
		assert_non_null(strstr(err.text, path));
		assert_int_equal(lstat(path, &after), 0);
		assert_true(before.st_ino == after.st_ino && before.st_mode == after.st_mode);
		rmdir(path);
		remove_files(NULL);
		cleanup_close(&holder);
	}
}

static void a_file_that_is_not_ours_any_more_stays(void **state)
{
	static const struct {
		const char *name;
		int (*make)(void);
	} rows[] = {
		{ "another socket", stale_socket },
		{ "a regular file", regular_file },
		{ "a link", link_to_nowhere },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct unix_socket unix_socket;
		struct err err;

		print_message("%s\n", rows[i].name);
		assert_int_equal(unix_socket_open(&unix_socket, path, &err), 0);
		/* kept elsewhere, so that its inode is not given to the next file */
		assert_int_equal(rename(path, other), 0);
		rows[i].make();
		unix_socket_close(&unix_socket);
		assert_true(is_there());
		remove_files(NULL);
		assert_int_equal(unix_socket_open(&unix_socket, path, &err), 0);
		assert_int_equal(unlink(path), 0);
		unix_socket_close(&unix_socket);
	}
}

static void length_of_paths(void **state)
{
	static const struct {
		size_t len;
		int want;
	} rows[] = { { 0, -ENAMETOOLONG }, { 1, 0 }, { 107, 0 }, { 108, -ENAMETOOLONG },
		     { 4000, -ENAMETOOLONG } };
	struct sockaddr_un address;
	char text[4001];
	struct err err;

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		memset(text, 'p', rows[i].len);
		text[rows[i].len] = '\0';
		assert_int_equal(unix_address(&address, text, &err), rows[i].want);
		if (!rows[i].want)
			assert_string_equal(address.sun_path, text);
	}
}

static void a_missing_directory_is_an_error(void **state)
{
	struct unix_socket unix_socket;
	struct err err;

	(void)state;
	assert_int_equal(unix_socket_open(&unix_socket, "/nowhere/at/all", &err), -ENOENT);
	assert_non_null(strstr(err.text, "No such file or directory"));
}

/* ---- datagrams */

static void send_frames(int fd, const struct sockaddr_un *to, struct batch *batch,
			unsigned count)
{
	static uint8_t number[200];
	char header[] = { 'H', 'D' };

	batch_clear(batch);
	for (unsigned i = 0; i < count; i++) {
		number[i] = (uint8_t)i;
		batch_add(batch, &number[i], 1)->drop = i % 5 == 4 ? DROP_FILTER : FRAME_KEEP;
	}
	unix_socket_send(fd, to, header, sizeof(header), batch);
}

static void receive_frames(int fd, struct batch *batch, unsigned count)
{
	unsigned left = count - count / 5, number = 0;

	do {
		batch_clear(batch);
		unix_socket_recv(fd, batch);
		assert_int_equal(batch->count, left < BATCH_SLOTS ? left : BATCH_SLOTS);
		for (unsigned at = 0; at < batch->count; at++, number++) {
			number += number % 5 == 4;
			assert_int_equal(batch->frame[at].len, 3);
			assert_memory_equal(batch->frame[at].data, "HD", 2);
			assert_int_equal(batch->frame[at].data[2], number);
		}
		left -= batch->count;
	} while (batch->count);
}

static void frames_arrive_behind_their_header_in_order(void **state)
{
	static const unsigned counts[] = { 0, 1, 4, 63, 64, 65, 128, 129 };
	struct unix_socket unix_socket;
	struct batch batch;
	struct err err;

	(void)state;
	assert_int_equal(batch_init(&batch, &err), 0);
	assert_int_equal(unix_socket_open(&unix_socket, path, &err), 0);
	for (size_t i = 0; i < COUNT(counts); i++) {
		print_message("%u\n", counts[i]);
		send_frames(unix_socket.fd, &unix_socket.address, &batch, counts[i]);
		for (unsigned at = 0; at < batch.count; at++)
			assert_int_equal(batch.frame[at].drop,
					 at % 5 == 4 ? DROP_FILTER : FRAME_KEEP);
		receive_frames(unix_socket.fd, &batch, counts[i]);
	}
	unix_socket_close(&unix_socket);
	batch_fini(&batch);
}

static void datagrams_that_are_no_frames(void **state)
{
	static char big[FRAME_MAX + 1];
	struct unix_socket unix_socket;
	struct batch batch;
	struct err err;
	int fd = socket(AF_UNIX, SOCK_DGRAM, 0);

	(void)state;
	assert_int_equal(batch_init(&batch, &err), 0);
	assert_int_equal(unix_socket_open(&unix_socket, path, &err), 0);
	assert_int_equal(connect(fd, (struct sockaddr *)&unix_socket.address,
				 sizeof(unix_socket.address)), 0);
	assert_int_equal(send(fd, big, 0, 0), 0);
	assert_int_equal(send(fd, big, FRAME_MAX, 0), FRAME_MAX);
	assert_int_equal(send(fd, big, FRAME_MAX + 1, 0), FRAME_MAX + 1);
	assert_int_equal(send(fd, big, 1, 0), 1);
	unix_socket_recv(unix_socket.fd, &batch);
	assert_int_equal(batch.count, 2);
	assert_int_equal(batch.frame[0].len, FRAME_MAX);
	assert_int_equal(batch.frame[1].len, 1);
	close(fd);
	unix_socket_close(&unix_socket);
	batch_fini(&batch);
}

static void what_can_not_be_sent_says_why(void **state)
{
	struct unix_socket from;
	struct sockaddr_un to;
	struct batch batch;
	struct err err;

	(void)state;
	assert_int_equal(batch_init(&batch, &err), 0);
	assert_int_equal(unix_socket_open(&from, path, &err), 0);
	assert_int_equal(unix_address(&to, other, &err), 0);
	send_frames(from.fd, &to, &batch, 70);
	for (unsigned i = 0; i < 70; i++)
		assert_int_equal(batch.frame[i].drop, i % 5 == 4 ? DROP_FILTER : DROP_REFUSED);
	unix_socket_close(&from);
	batch_fini(&batch);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(only_stale_sockets_are_replaced, remove_files),
		cmocka_unit_test_teardown(a_file_that_is_not_ours_any_more_stays, remove_files),
		cmocka_unit_test(length_of_paths),
		cmocka_unit_test(a_missing_directory_is_an_error),
		cmocka_unit_test_teardown(frames_arrive_behind_their_header_in_order,
					  remove_files),
		cmocka_unit_test_teardown(datagrams_that_are_no_frames, remove_files),
		cmocka_unit_test_teardown(what_can_not_be_sent_says_why, remove_files),
	};

	return cmocka_run_group_tests(tests, make_directory, remove_directory);
}
