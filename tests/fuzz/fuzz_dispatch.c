/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Fuzz target: a dialogue of the text protocol, carried out in a jail. */
#include <config.h>

#include "ctl/dispatch.h"

#include <stdlib.h>
#include <string.h>

#include "attach/run_wait.h"
#include "core/bridge.h"
#include "core/iol.h"
#include "ctl/control.h"
#include "ctl/server.h"
#include "jail.h"

#define MAX_INPUT 2048	/* the optimizer's time for long expressions is libpcap's affair */

/* How long a command may wait for what does not happen in the jail. */
#define PATIENCE_MS 5

static bool finished;

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

/* Who waits for a container is told that there will be none. */
static void wait_for_reply(void)
{
	jail_serve(&finished, PATIENCE_MS);
	if (finished)
		return;
	run_wait_end_all();
	bridge_delete_all();
	while (!finished)
		jail_serve(&finished, 1000);
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
		wait_for_reply();
	}
	check_reply(&request.reply);
	buf_free(&request.reply);
	free(request.words);
	free(request.line);
}

/* The server ends a command at the first CR. */
static void carry_out_all(const uint8_t *input, size_t size)
{
	const char *data = (const char *)input;

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
	jail_finish_jobs();
}

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc;
	(void)argv;
	jail_start(carry_out_all);
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size <= MAX_INPUT)
		jail_run(data, size);
	return 0;
}
