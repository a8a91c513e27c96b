/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Theory of operation
 *
 * One thread runs rounds: agree on the API, open the stream, hand on events until it
 * ends, wait. Anything that can not be read may have been the event that mattered,
 * so it ends the stream, and the listener looks at the whole state again.
 *
 * Docker answers before it has subscribed us. An event that falls between its answer
 * and that would be lost, though connected() has been called. So Docker is asked for
 * the events since just before the request, and replays what we would miss. Podman
 * compares "since" with every later event too: after a clock was set back we
 * would hear nothing for as long. It subscribes first anyway.
 */
#include <config.h>

#include "docker/events.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/thread.h"
#include "docker/engine_internal.h"

/* An event carries all labels of its container. */
#define EVENT_MAX (512 * 1024)

/* How long an address counts as one of another host. */
#define REMOTE_WAIT_MS 5000

/* {"type":["container"]}: engines differ in what else they take, and refuse the rest. */
static const char filters[] = "filters=%7B%22type%22%3A%5B%22container%22%5D%7D";

struct engine_watch {
	struct http_lines lines;
	struct engine *engine;
	struct engine_listener *listener;
	pthread_t thread;
	int stop_fd;			/* readable: end */
	int told;			/* code of the last disconnected(), 0 while connected */
	uint64_t connected;		/* when connected() was called; 0: not in this round */
};

static struct engine_watch *watch_of(struct http_lines *lines)
{
	return container_of(lines, struct engine_watch, lines);
}

static void on_open(struct http_lines *lines)
{
	struct engine_watch *watch = watch_of(lines);

	watch->connected = clock_now();
	watch->told = 0;
	watch->listener->connected(watch->listener);
}

static int on_line(struct http_lines *lines, const char *text, size_t length, struct err *err)
{
	struct engine_watch *watch = watch_of(lines);
	struct engine_event event;
	int rc = engine_json_event(text, length, &event, err);

	if (rc > 0)
		watch->listener->event(watch->listener, &event);
	return rc < 0 ? rc : 0;
}

static void make_path(const struct engine_info *info, char path[HTTP_PATH_MAX])
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	if (info->podman)
		snprintf(path, HTTP_PATH_MAX, "/v%s/events?%s", info->api_used, filters);
	else
		snprintf(path, HTTP_PATH_MAX, "/v%s/events?since=%lld.%09ld&%s", info->api_used,
			 (long long)now.tv_sec, now.tv_nsec, filters);
}

static int follow(struct engine_watch *watch, const char *path, struct err *err)
{
	struct http_endpoint endpoint;
	const struct http_request request = {
		.endpoint = &endpoint, .path = path, .max = EVENT_MAX,
		.timeout_ms = watch->engine->timeout_ms, .abort_fd = watch->stop_fd,
	};
	struct http_reply reply = { 0 };
	int rc = engine_resolve(watch->engine, &endpoint, err);

	if (!rc)
		rc = http_get_lines(&request, &watch->lines, &reply, err);
	if (rc < 0)
		return rc;
	if (reply.status == 200)
		rc = err_set(err, ECONNRESET, "event stream closed");
	else
		rc = engine_refused(&reply, "events", err);
	http_reply_free(&reply);
	return rc;
}

/* Connect, and stay connected for as long as it lasts. The error says why it ended. */
static int run_round(struct engine_watch *watch, struct err *err)
{
	struct engine_info info;
	char path[HTTP_PATH_MAX];
	int rc;

	watch->connected = 0;
	rc = engine_negotiate(watch->engine, watch->stop_fd, &info, err);
	if (rc < 0)
		return rc;
	make_path(&info, path);
	return follow(watch, path, err);
}

static void tell_disconnected(struct engine_watch *watch, struct err *why)
{
	if (!watch->connected && why->code == watch->told)
		return;
	watch->told = why->code;
	engine_wrap(watch->engine, why);
	watch->listener->disconnected(watch->listener, why);
}

/* Twice the last wait, from the start again after a connection that was good for a while,
 * and for ever after an error that only another DOCKER_HOST can mend. An address of another
 * host may be one that this host has not got yet.
 */
static int next_wait_ms(const struct engine_watch *watch, int last_ms, const struct err *why)
{
	if (why->code == EINVAL || why->code == EPROTONOSUPPORT || why->code == ENAMETOOLONG)
		return -1;
	if (why->code == EREMOTE)
		return REMOTE_WAIT_MS;
	if (!last_ms || (watch->connected && clock_now() - watch->connected >
						     WATCH_BACKOFF_MAX_MS * NSEC_PER_MSEC))
		return WATCH_BACKOFF_MIN_MS;
	return last_ms < WATCH_BACKOFF_MAX_MS / 2 ? 2 * last_ms : WATCH_BACKOFF_MAX_MS;
}

static void *watch_main(void *context)
{
	struct engine_watch *watch = context;
	struct pollfd stop = { .fd = watch->stop_fd, .events = POLLIN };
	struct err why;
	int wait_ms = 0;

	do {
		run_round(watch, &why);
		if (why.code == ECANCELED)
			break;
		tell_disconnected(watch, &why);
		wait_ms = next_wait_ms(watch, wait_ms, &why);
	} while (poll(&stop, 1, wait_ms) == 0);
	return NULL;
}

/* engine_watch_start() - follow the engine's events on a thread of its own
 * @listener: stays the caller's, and must stay until engine_watch_stop()
 *
 * Whether there is an engine shows later, in the listener.
 *
 * Return: 0 or a negative errno, when there is no memory, descriptor or thread left.
 */
int engine_watch_start(struct engine *engine, struct engine_listener *listener,
		       struct engine_watch **watch, struct err *err)
{
	struct engine_watch *made = calloc(1, sizeof(*made));
	int code;

	if (!made)
		return err_sys(err, ENOMEM, "docker events");
	made->lines = (struct http_lines){ .open = on_open, .line = on_line };
	made->engine = engine;
	made->listener = listener;
	made->stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	code = made->stop_fd < 0 ? -errno : thread_start(&made->thread, watch_main, made);
	if (code) {
		if (made->stop_fd >= 0)
			close(made->stop_fd);
		free(made);
		return err_sys(err, -code, "docker events");
	}
	*watch = made;
	return 0;
}

/* engine_watch_stop() - end a watch; when it has, nothing calls the listener any more
 * @wait_s: how long to wait for it, in seconds
 *
 * Not from the listener itself. It waits for a callback under way: where those ask the
 * engine, call engine_abort() first.
 *
 * Return: false when the watch has not ended by then, which is when a name server does not
 * answer. It and all that it uses must stay until the process ends.
 */
bool engine_watch_stop(struct engine_watch *watch, unsigned wait_s)
{
	const uint64_t one = 1;
	struct timespec until;
	ssize_t written;

	if (!watch)
		return true;
	written = write(watch->stop_fd, &one, sizeof(one));
	(void)written;
	/* by the one clock that thread sanitizers know this call with */
	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += wait_s;
	if (pthread_timedjoin_np(watch->thread, NULL, &until)) {
		pthread_detach(watch->thread);
		return false;
	}
	close(watch->stop_fd);
	free(watch);
	return true;
}
