/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Questions to the container engine. The answer takes a job, so each is pending. */
#include <config.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "attach/run_wait.h"
#include "attach/session.h"
#include "base/cleanup.h"
#include "base/str.h"
#include "ctl/cmd_attach.h"

#define SECONDS_MAX (24 * 60 * 60)

struct question {
	struct session_job job;
	struct request *request;
	struct err err;
	struct engine_container container;
	struct engine_info info;
	char host[ENDPOINT_HOST_MAX];
};

static enum request_state out_of_memory(struct request *request)
{
	return reply_final(request, REPLY_OTHER, "out of memory");
}

static enum request_state ask(struct request *request,
			      void (*work)(struct session_job *job, struct engine *engine),
			      void (*done)(struct session_job *job))
{
	struct question *question = calloc(1, sizeof(*question));

	if (!question)
		return out_of_memory(request);
	question->request = request;
	question->job.work = work;
	question->job.done = done;
	session_run_now(&question->job);
	return REQUEST_PENDING;
}

/* The answer, when it is an error: true. */
static bool is_refused(struct question *question)
{
	const struct err *err = question->job.err.code ? &question->job.err : &question->err;

	if (!err->code)
		return false;
	reply_final(question->request, err->code == ENOENT ? REPLY_NOT_FOUND : REPLY_OTHER, "%s",
		    err->text);
	return true;
}

static void finish(struct question *question)
{
	request_finish(question->request);
	free(question);
}

/* ---- docker pid */

static void pid_work(struct session_job *job, struct engine *engine)
{
	struct question *question = container_of(job, struct question, job);

	engine_inspect(engine, question->request->argv[0], &question->container, &question->err);
}

static void pid_done(struct session_job *job)
{
	struct question *question = container_of(job, struct question, job);
	const struct engine_container *container = &question->container;

	if (is_refused(question))
		;
	else if (container->pid)
		reply_final(question->request, REPLY_OK, "%d", (int)container->pid);
	else
		reply_final(question->request, REPLY_OTHER, "container '%s' is not running (%s)",
			    question->request->argv[0], engine_state_name(container->state));
	finish(question);
}

static bool reference_is_refused(struct request *request)
{
	if (engine_reference_ok(request->argv[0]))
		return false;
	reply_final(request, REPLY_INVALID, "'%s' is not the name or id of a container",
		    request->argv[0]);
	return true;
}

enum request_state cmd_docker_pid(struct request *request)
{
	if (reference_is_refused(request))
		return REQUEST_DONE;
	return ask(request, pid_work, pid_done);
}

/* ---- docker wait */

static void wait_done(void *data, pid_t pid, const struct err *why)
{
	struct request *request = data;

	if (pid)
		reply_final(request, REPLY_OK, "%d", (int)pid);
	else
		reply_final(request, REPLY_OTHER, "%s", why->text);
	request_finish(request);
}

static void wait_cancel(struct request *request)
{
	run_wait_cancel(request);
}

enum request_state cmd_docker_wait(struct request *request)
{
	int64_t seconds = -1;
	struct err err;

	if (reference_is_refused(request))
		return REQUEST_DONE;
	if (request->argc > 1 && !parse_int(request->argv[1], 0, SECONDS_MAX, &seconds))
		return reply_final(request, REPLY_INVALID, "'%s' is no number of seconds",
				   request->argv[1]);
	if (run_wait_start(request->argv[0], (int)seconds, wait_done, request, &err) < 0)
		return reply_final(request, REPLY_OTHER, "%s", err.text);
	request->cancel = wait_cancel;
	return REQUEST_PENDING;
}

/* ---- docker engine */

static void engine_work(struct session_job *job, struct engine *engine)
{
	struct question *question = container_of(job, struct question, job);

	snprintf(question->host, sizeof(question->host), "%s", engine_host(engine));
	engine_version(engine, &question->info, &question->err);
}

static void engine_done(struct session_job *job)
{
	static const char *const streams[] = {
		[SESSION_IDLE] = "idle",
		[SESSION_CONNECTING] = "connecting",
		[SESSION_CONNECTED] = "connected",
	};
	struct question *question = container_of(job, struct question, job);
	const struct engine_info *info = &question->info;

	if (!is_refused(question)) {
		reply_info(question->request,
			   "endpoint=%s engine=%s version=%s api=%s events=%s", question->host,
			   info->podman ? "podman" : "docker", info->version, info->api_used,
			   streams[session_stream()]);
		reply_final(question->request, REPLY_OK, "OK");
	}
	finish(question);
}

enum request_state cmd_docker_engine(struct request *request)
{
	return ask(request, engine_work, engine_done);
}
