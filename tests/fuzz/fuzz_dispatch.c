/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Fuzz target: a dialogue of the text protocol.
 *
 * Commands open devices and write files, so they are carried out by a thread in
 * a network namespace and an empty file system of its own: there is no interface
 * but lo, no device file, no process, and nothing that stays. libFuzzer's own
 * thread keeps its files. Needs root.
 */
#include <config.h>

#include "ctl/dispatch.h"

#include <dlfcn.h>
#include <netdb.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "attach/session.h"
#include "base/log.h"
#include "core/bridge.h"
#include "core/iol.h"
#include "ctl/control.h"
#include "ctl/server.h"

#define MAX_INPUT 2048	/* the optimizer's time for long expressions is libpcap's affair */

static struct {
	sem_t go, done;
	const uint8_t *data;
	size_t size;
} work;

static bool finished;

static void require(bool holds)
{
	if (!holds)
		abort();
}

static void ignore_line(enum log_stream stream, const char *line)
{
	(void)stream;
	(void)line;
}

/* The program's own symbol takes precedence: addresses are read as ever, names do not exist. */
int getaddrinfo(const char *node, const char *service, const struct addrinfo *hints,
		struct addrinfo **result)
{
	static int (*next)(const char *, const char *, const struct addrinfo *,
			   struct addrinfo **);
	struct addrinfo numeric = *hints;

	if (!next)
		*(void **)&next = dlsym(RTLD_NEXT, "getaddrinfo");
	numeric.ai_flags |= AI_NUMERICHOST;
	return next(node, service, &numeric, result);
}

/* In place of the server. */
void server_hang_up(struct request *request)
{
	require(request->argc == 0);
}

static void finish(struct request *request)
{
	require(!finished && request->reply.len);
	finished = true;
	control_stop();
}

/* ---- one line */

/* Information lines, one final line, nothing else. */
static void check_reply(const struct buf *reply)
{
	bool final = false;

	require(reply->len >= 6 && !reply->failed);
	for (size_t at = 0; at < reply->len;) {
		const char *line = reply->data + at;
		const char *end = memchr(line, '\n', reply->len - at);

		require(!final && end && end - line >= 5 && end[-1] == '\r');
		final = line[3] == '-';
		if (final)
			require(!memcmp(line, "100", 3) || line[0] == '2');
		else
			require(!memcmp(line, "101 ", 4));
		at += (size_t)(end - line) + 1;
	}
	require(final);
}

static void carry_out(const char *text, size_t len)
{
	struct request request = { .line = malloc(len + 1), .finished = finish };

	require(request.line);
	memcpy(request.line, text, len);
	request.line[len] = '\0';
	finished = false;
	if (dispatch_line(&request, request.line, len) == REQUEST_PENDING) {
		require(!request.reply.len);
		while (!finished)
			control_run(NULL);
	}
	check_reply(&request.reply);
	buf_free(&request.reply);
	free(request.words);
	free(request.line);
}

/* The server ends a command at the first CR. */
static void carry_out_all(const char *data, size_t size)
{
	while (size) {
		const char *end = memchr(data, '\n', size);
		size_t len = end ? (size_t)(end - data) : size;
		const char *cr = len ? memchr(data, '\r', len) : NULL;

		carry_out(data, cr ? (size_t)(cr - data) : len);
		len += end != NULL;
		data += len;
		size -= len;
	}
	bridge_delete_all();
	iol_delete_all();
	require(!bridge_first() && !iol_first());
}

/* ---- the thread that does it */

static void enter_jail(void)
{
	if (unshare(CLONE_FS | CLONE_NEWNS | CLONE_NEWNET) ||
	    mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) ||
	    mount("none", "/mnt", "tmpfs", 0, "size=4m") || chroot("/mnt") || chdir("/") ||
	    mkdir("/tmp", 0700)) {
		perror("jail");
		exit(EXIT_FAILURE);
	}
}

static void *serve(void *arg)
{
	struct err err;

	(void)arg;
	enter_jail();
	workers_set_limit(1);
	require(!control_init(&err));
	session_init(control_loop());
	for (;;) {
		sem_wait(&work.go);
		carry_out_all((const char *)work.data, work.size);
		sem_post(&work.done);
	}
	return NULL;
}

static void start_thread(void)
{
	sigset_t all, before;
	pthread_t thread;

	log_set_sink(ignore_line);
	sem_init(&work.go, 0, 0);
	sem_init(&work.done, 0, 0);
	/* libFuzzer's alarms are for its own thread */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	require(!pthread_create(&thread, NULL, serve, NULL));
	pthread_sigmask(SIG_SETMASK, &before, NULL);
}

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc;
	(void)argv;
	start_thread();
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size > MAX_INPUT)
		return 0;
	work.data = data;
	work.size = size;
	sem_post(&work.go);
	while (sem_wait(&work.done))
		;
	return 0;
}
