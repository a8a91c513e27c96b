/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Calls the engine's client from a command line and prints what comes back, for tests.
 *
 *	engine_probe [-t MS] [-a MS] version | inspect REF | list | pid PID | watch |
 *		hammer REF
 *
 * -t is the time-out, -a aborts the call after so many milliseconds. inspect - takes
 * references from standard input; watch prints until that ends. hammer has several
 * threads inspect a container at the same time. A failure is one line,
 * "error CODE TEXT".
 */
#include <config.h>

#include "docker/engine.h"
#include "docker/events.h"

#include <errno.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

struct probe {
	struct engine *engine;
	unsigned timeout_ms;
	long abort_ms;			/* -1: never */
};

static int64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static int fail(const struct err *err)
{
	const char *name = strerrorname_np(err->code);

	printf("error %s %s\n", name ? name : "?", err->text);
	return 1;
}

static int probe_version(struct engine *engine, struct err *err)
{
	struct engine_info info;

	if (engine_version(engine, &info, err) < 0)
		return fail(err);
	printf("version=%s api=%s api_min=%s api_used=%s podman=%d host=%s\n", info.version,
	       info.api, info.api_min, info.api_used, info.podman, engine_host(engine));
	return 0;
}

static int print_container(int rc, const struct engine_container *container,
			   const struct err *err)
{
	static const char *const networks[] = { "own", "host", "shared" };

	if (rc < 0)
		return fail(err);
	printf("id=%s name=%s state=%s pid=%d network=%s mode=%s started=%s\n", container->id,
	       container->name, engine_state_name(container->state), (int)container->pid,
	       networks[container->network], container->network_mode, container->started_at);
	return 0;
}

static int probe_inspect(struct engine *engine, const char *reference, struct err *err)
{
	struct engine_container container;
	int rc = engine_inspect(engine, reference, &container, err);

	return print_container(rc, &container, err);
}

/* All with one struct engine, so that it lives through what happens to the engine */
static int probe_lines(struct engine *engine, struct err *err)
{
	char line[512];

	while (fgets(line, sizeof(line), stdin)) {
		line[strcspn(line, "\n")] = '\0';
		probe_inspect(engine, line, err);
	}
	return 0;
}

struct hammer {
	struct engine *engine;
	const char *reference;
	unsigned failures;
	pthread_t thread;
};

static void *hammer_main(void *context)
{
	struct hammer *hammer = context;
	struct engine_container container;
	struct err err;

	for (unsigned i = 0; i < 100; i++)
		if (engine_inspect(hammer->engine, hammer->reference, &container, &err) < 0)
			hammer->failures++;
	return NULL;
}

static int probe_hammer(struct engine *engine, const char *reference)
{
	struct hammer hammers[8];
	unsigned failures = 0;

	for (unsigned i = 0; i < 8; i++) {
		hammers[i] = (struct hammer){ .engine = engine, .reference = reference };
		pthread_create(&hammers[i].thread, NULL, hammer_main, &hammers[i]);
	}
	for (unsigned i = 0; i < 8; i++) {
		pthread_join(hammers[i].thread, NULL);
		failures += hammers[i].failures;
	}
	printf("failures=%u\n", failures);
	return 0;
}

static int probe_pid(struct engine *engine, const char *pid, struct err *err)
{
	struct engine_container container;
	int rc = engine_find_by_pid(engine, atoi(pid), &container, err);

	return print_container(rc, &container, err);
}

static int probe_list(struct engine *engine, struct err *err)
{
	struct engine_summary *list;
	size_t count;

	if (engine_list_running(engine, &list, &count, err) < 0)
		return fail(err);
	for (size_t i = 0; i < count; i++)
		printf("id=%s name=%s state=%s\n", list[i].id, list[i].name,
		       engine_state_name(list[i].state));
	printf("count=%zu\n", count);
	free(list);
	return 0;
}

static void on_connected(struct engine_listener *listener)
{
	(void)listener;
	puts("connected");
}

static void on_disconnected(struct engine_listener *listener, const struct err *why)
{
	(void)listener;
	printf("disconnected %s %s\n", strerrorname_np(why->code), why->text);
}

static void on_event(struct engine_listener *listener, const struct engine_event *event)
{
	(void)listener;
	printf("event %s id=%s name=%s\n", engine_action_name(event->action), event->id,
	       event->name);
}

static int probe_watch(struct engine *engine, struct err *err)
{
	struct engine_listener listener = { on_connected, on_disconnected, on_event };
	struct engine_watch *watch;
	int64_t start;
	char byte;

	if (engine_watch_start(engine, &listener, &watch, err) < 0)
		return fail(err);
	while (read(STDIN_FILENO, &byte, 1) > 0)
		;
	start = now_ms();
	engine_watch_stop(watch, 600);
	printf("stopped ms=%lld\n", (long long)(now_ms() - start));
	return 0;
}

static void *abort_later(void *context)
{
	struct probe *probe = context;

	usleep((useconds_t)probe->abort_ms * 1000);
	engine_abort(probe->engine);
	return NULL;
}

static int run(struct engine *engine, char *argv[], struct err *err)
{
	const char *verb = argv[0] ? argv[0] : "";

	if (strcmp(verb, "version") == 0)
		return probe_version(engine, err);
	if (strcmp(verb, "list") == 0)
		return probe_list(engine, err);
	if (strcmp(verb, "watch") == 0)
		return probe_watch(engine, err);
	if (strcmp(verb, "hammer") == 0 && argv[1])
		return probe_hammer(engine, argv[1]);
	if (strcmp(verb, "inspect") == 0 && argv[1] && strcmp(argv[1], "-") == 0)
		return probe_lines(engine, err);
	if (strcmp(verb, "inspect") == 0 && argv[1])
		return probe_inspect(engine, argv[1], err);
	if (strcmp(verb, "pid") == 0 && argv[1])
		return probe_pid(engine, argv[1], err);
	fprintf(stderr, "usage: see the head of the source\n");
	return 2;
}

/* How long after the abort the call came back */
static int run_aborted(struct probe *probe, char *argv[], struct err *err)
{
	pthread_t thread;
	int64_t start = now_ms();
	int rc;

	if (probe->abort_ms < 0)
		return run(probe->engine, argv, err);
	pthread_create(&thread, NULL, abort_later, probe);
	rc = run(probe->engine, argv, err);
	printf("returned ms=%lld\n", (long long)(now_ms() - start - probe->abort_ms));
	pthread_join(thread, NULL);
	return rc;
}

int main(int argc, char *argv[])
{
	struct probe probe = { .timeout_ms = ENGINE_TIMEOUT_MS, .abort_ms = -1 };
	struct endpoint_settings settings;
	struct err err;
	int option, rc;

	setvbuf(stdout, NULL, _IOLBF, 0);
	while ((option = getopt(argc, argv, "+t:a:")) != -1) {
		if (option == 't')
			probe.timeout_ms = (unsigned)atoi(optarg);
		else if (option == 'a')
			probe.abort_ms = atol(optarg);
		else
			return 2;
	}
	if (endpoint_settings_from_env(&settings, &err) < 0 ||
	    engine_open(&settings, probe.timeout_ms, &probe.engine, &err) < 0)
		return fail(&err);
	rc = run_aborted(&probe, argv + optind, &err);
	engine_close(probe.engine);
	return rc;
}
