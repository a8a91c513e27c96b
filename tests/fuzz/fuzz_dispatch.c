/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Fuzz target: a dialogue of the text protocol, from the bytes that a client sends to those
 * that it gets, in a jail.
 *
 * Input: what is sent, in one piece; in two, if the first byte is odd.
 */
#include <config.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "attach/run_wait.h"
#include "base/buf.h"
#include "base/loop.h"
#include "core/bridge.h"
#include "core/iol.h"
#include "ctl/control.h"
#include "ctl/server.h"
#include "jail.h"

#define MAX_INPUT 2048	/* the optimizer's time for long expressions is libpcap's affair */

/* Not what an input would name. */
#define SOCKET_PATH "/tmp/read-by-fuzz-dispatch"

/* How long a command may wait for what does not happen in the jail. */
#define PATIENCE_MS 5

static struct buf replies;
static bool ended;			/* by the server */

static void prepare(void)
{
	struct err err;

	require(!server_listen_unix(control_loop(), SOCKET_PATH, &err));
}

static int connect_client(void)
{
	const struct sockaddr_un address = { .sun_family = AF_UNIX, .sun_path = SOCKET_PATH };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	require(fd >= 0 && !connect(fd, (const struct sockaddr *)&address, sizeof(address)));
	return fd;
}

static void take_replies(struct loop_source *source, uint32_t events)
{
	char data[4096];
	ssize_t got;

	(void)events;
	while ((got = recv(source->fd, data, sizeof(data), MSG_DONTWAIT)) > 0)
		buf_append(&replies, data, (size_t)got);
	require(got == 0 || errno == EAGAIN);
	ended = got == 0;
	if (ended)
		control_stop();
}

static void send_piece(int fd, const uint8_t *data, size_t size)
{
	/* one that has hung up takes no more */
	ssize_t sent = send(fd, data, size, MSG_DONTWAIT | MSG_NOSIGNAL);

	require(sent == (ssize_t)size || errno == EPIPE);
}

/* Information lines and final lines, one of these at the end, and nothing else. */
static void check_replies(void)
{
	bool final = true;

	require(!replies.failed);
	for (size_t at = 0; at < replies.len;) {
		const char *line = replies.data + at;
		const char *end = memchr(line, '\n', replies.len - at);

		require(end && end - line >= 5 && end[-1] == '\r');
		final = line[3] == '-';
		if (final)
			require(!memcmp(line, "100", 3) || line[0] == '2');
		else
			require(!memcmp(line, "101 ", 4));
		at += (size_t)(end - line) + 1;
	}
	require(final);
	replies.len = 0;
}

static void clean_up(void)
{
	bridge_delete_all();
	iol_delete_all();
	require(!bridge_first() && !iol_first());
	jail_finish_jobs();
}

static void send_all(int fd, const uint8_t *data, size_t size)
{
	size_t first = size && *data & 1 ? size / 2 : size;

	send_piece(fd, data, first);
	if (first < size) {
		jail_serve(&ended, 1);
		send_piece(fd, data + first, size - first);
	}
	shutdown(fd, SHUT_WR);
}

static void talk(const uint8_t *data, size_t size)
{
	struct loop_source client = { .fd = connect_client(), .ready = take_replies };
	struct err err;

	ended = false;
	require(!loop_add(control_loop(), &client, EPOLLIN, &err));
	send_all(client.fd, data, size);
	jail_serve(&ended, PATIENCE_MS);
	while (!ended) {
		/* who waits for a container is told that there will be none */
		run_wait_end_all();
		bridge_delete_all();
		jail_serve(&ended, PATIENCE_MS);
	}
	loop_remove(control_loop(), &client);
	close(client.fd);
	check_replies();
	clean_up();
}

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc;
	(void)argv;
	jail_start(prepare, talk);
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size <= MAX_INPUT)
		jail_run(data, size);
	return 0;
}
