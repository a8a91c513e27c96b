/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <config.h>

#include "jail.h"

#include <dlfcn.h>
#include <netdb.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "attach/session.h"
#include "base/clock.h"
#include "base/job.h"
#include "base/log.h"
#include "core/worker.h"
#include "ctl/control.h"

static struct {
	sem_t go, done;
	void (*prepare)(void);
	void (*run)(const uint8_t *data, size_t size);
	const uint8_t *data;
	size_t size;
} work;

void require(bool holds)
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

static void enter(void)
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
	enter();
	workers_set_limit(1);
	require(!control_init(&err));
	session_init(control_loop());
	if (work.prepare)
		work.prepare();
	for (;;) {
		sem_wait(&work.go);
		work.run(work.data, work.size);
		sem_post(&work.done);
	}
	return NULL;
}

/* jail_start() - have jail_run() call @run in the jail; @prepare, if any, comes before, once */
void jail_start(void (*prepare)(void), void (*run)(const uint8_t *data, size_t size))
{
	sigset_t all, before;
	pthread_t thread;

	log_set_sink(ignore_line);
	work.prepare = prepare;
	work.run = run;
	sem_init(&work.go, 0, 0);
	sem_init(&work.done, 0, 0);
	/* libFuzzer's alarms are for its own thread */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	require(!pthread_create(&thread, NULL, serve, NULL));
	pthread_sigmask(SIG_SETMASK, &before, NULL);
}

/* jail_run() - one input, from libFuzzer's thread */
void jail_run(const uint8_t *data, size_t size)
{
	work.data = data;
	work.size = size;
	sem_post(&work.go);
	while (sem_wait(&work.done))
		;
}

static void time_is_up(struct loop_timer *timer)
{
	(void)timer;
	control_stop();
}

void jail_serve(const bool *done, unsigned milliseconds)
{
	struct loop_timer end = { .expired = time_is_up };
	uint64_t due = clock_now() + milliseconds * NSEC_PER_MSEC;

	loop_timer_set(control_loop(), &end, due);
	while (!*done && clock_now() < due)
		control_run(NULL);
	loop_timer_cancel(control_loop(), &end);
}

/* jail_finish_jobs() - what threads have begun is over, and nothing is left to be freed later */
void jail_finish_jobs(void)
{
	static const bool never = false;

	while (job_is_pending())
		jail_serve(&never, 1);
}
