/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Fuzz target: a server's answer, byte by byte, to a request for a document or a stream.
 *
 * Input: a byte, whose bits are below; then what the server sends before it hangs up.
 * libcurl reads it from a UNIX socket in a file system that only this process sees.
 * Needs root.
 */
#include <config.h>

#include "docker/http.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "docker/engine_internal.h"

#define SOCKET_PATH "/mnt/engine.sock"
#define MAX_INPUT 8192

/* Of the first byte: */
#define STREAM 1			/* it is asked for lines */
#define SPLIT 2				/* the answer comes in two pieces */
#define STOP 4				/* the second line ends the stream */
#define LARGE 8				/* more than the smallest bound may come */

struct reader {
	struct http_lines lines;
	size_t max;
	unsigned opened, count, stop_at;	/* 0: never */
};

static int listening = -1;
static const uint8_t *answer;
static size_t answer_size;
static bool split;
static sem_t answered;

static void require(bool holds)
{
	if (!holds)
		abort();
}

/* ---- the server */

/* The client may have had enough: then nobody takes the rest. */
static void send_all(int fd, const uint8_t *data, size_t size)
{
	while (size) {
		ssize_t sent = send(fd, data, size, MSG_NOSIGNAL);

		if (sent < 0)
			return;
		data += sent;
		size -= (size_t)sent;
	}
}

/* Return: false when the client has hung up instead of asking. */
static bool take_request(int fd)
{
	char text[2048];
	size_t len = 0;

	while (len < sizeof(text)) {
		ssize_t got = recv(fd, text + len, sizeof(text) - len, 0);

		if (got <= 0)
			return false;
		len += (size_t)got;
		if (memmem(text, len, "\r\n\r\n", 4))
			return true;
	}
	return true;
}

static void *serve(void *arg)
{
	(void)arg;
	for (;;) {
		int fd = accept(listening, NULL, NULL);
		size_t first = split ? answer_size / 2 : answer_size;

		require(fd >= 0);
		if (take_request(fd)) {
			send_all(fd, answer, first);
			send_all(fd, answer + first, answer_size - first);
		}
		close(fd);
		sem_post(&answered);
	}
	return NULL;
}

static void open_socket(void)
{
	const struct sockaddr_un address = { .sun_family = AF_UNIX, .sun_path = SOCKET_PATH };

	listening = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (listening < 0 || unshare(CLONE_NEWNS) ||
	    mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) ||
	    mount("none", "/mnt", "tmpfs", 0, "size=1m") ||
	    bind(listening, (const struct sockaddr *)&address, sizeof(address)) ||
	    listen(listening, 16)) {
		perror("socket");
		exit(EXIT_FAILURE);
	}
}

static void start_server(void)
{
	sigset_t all, before;
	pthread_t thread;

	open_socket();
	sem_init(&answered, 0, 0);
	/* libFuzzer's alarms are for its own thread */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	require(!pthread_create(&thread, NULL, serve, NULL));
	pthread_sigmask(SIG_SETMASK, &before, NULL);
}

/* ---- the client */

static void on_open(struct http_lines *lines)
{
	struct reader *reader = container_of(lines, struct reader, lines);

	require(!reader->opened && !reader->count);
	reader->opened++;
}

static int on_line(struct http_lines *lines, const char *text, size_t length, struct err *err)
{
	struct reader *reader = container_of(lines, struct reader, lines);
	struct engine_event event;
	struct err ignored;

	require(reader->opened && length && length <= reader->max);
	require(!text[length] && !memchr(text, '\n', length));
	require(reader->count != reader->stop_at || !reader->stop_at);
	engine_json_event(text, length, &event, &ignored);
	if (++reader->count == reader->stop_at)
		return err_set(err, EIO, "enough");
	return 0;
}

static void check_reply(const struct http_reply *reply, size_t max)
{
	char message[64];

	require(reply->length <= max && (reply->body || !reply->length));
	require(!reply->body || !reply->body[reply->length]);
	engine_json_message(reply->body, reply->length, message, sizeof(message));
}

static void check_failure(int rc, const struct http_reply *reply, const struct err *err)
{
	require(rc == -err->code && err->code > 0 && *err->text);
	require(!reply->body && !reply->length && !reply->status);
}

static void ask(const struct http_request *request)
{
	struct http_reply reply;
	struct err err;
	int rc = http_get(request, &reply, &err);

	if (rc < 0)
		check_failure(rc, &reply, &err);
	else
		check_reply(&reply, request->max);
	http_reply_free(&reply);
}

static void follow(const struct http_request *request, unsigned stop_at)
{
	struct reader reader = {
		.lines = { .open = on_open, .line = on_line },
		.max = request->max, .stop_at = stop_at,
	};
	struct http_reply reply;
	struct err err;
	int rc = http_get_lines(request, &reader.lines, &reply, &err);

	if (rc < 0)
		check_failure(rc, &reply, &err);
	else
		check_reply(&reply, request->max);
	require(!stop_at || reader.count < stop_at || rc == -EIO);
	http_reply_free(&reply);
}

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc;
	(void)argv;
	start_server();
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct http_endpoint endpoint = { .socket = SOCKET_PATH, .authority = "docker" };
	struct http_request request = {
		.endpoint = &endpoint, .path = "/x", .timeout_ms = 5000, .abort_fd = -1,
	};

	if (!size || size > MAX_INPUT)
		return 0;
	request.max = *data & LARGE ? MAX_INPUT : 64;
	split = *data & SPLIT;
	answer = data + 1;
	answer_size = size - 1;
	if (*data & STREAM)
		follow(&request, *data & STOP ? 2 : 0);
	else
		ask(&request);
	/* each call connects once, and the server has to be done with the input */
	while (sem_wait(&answered))
		;
	return 0;
}
