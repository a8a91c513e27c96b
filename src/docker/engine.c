/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Theory of operation
 *
 * Paths begin with the version of the API, and engines refuse versions that are too
 * new or too old for them. So the first call asks for /version, the one path without
 * one, and remembers what both sides speak. The engine may be replaced by another
 * while we run: one that does not take the version answers 400, and then it is
 * asked again.
 *
 * Without DOCKER_HOST it depends on which engine's socket exists where the engine is. That
 * gets looked up for each request until one has answered. From then on it is that one, also
 * while it is away: another engine would say of every container that there is none, or would
 * have another one of that name. Its address is resolved for each request.
 */
#include <config.h>

#include "docker/engine_internal.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

/* Real answers have 1, 10 and 1 (for each container) KiB; labels and environments vary. */
#define INFO_MAX (256 * 1024)
#define CONTAINER_MAX (2 * 1024 * 1024)
#define LIST_MAX (8 * 1024 * 1024)

/* {"status":["running","paused"]}: without it, Podman leaves out those that are paused. */
static const char list_path[] = "/containers/json?filters="
	"%7B%22status%22%3A%5B%22running%22%2C%22paused%22%5D%7D";

#define CGROUP_TEXT_MAX 16384

/* engine_open() - get ready to talk to the engine; nothing is sent yet
 * @settings: copied
 * @timeout_ms: for each request; ENGINE_TIMEOUT_MS is meant for most
 *
 * An address that can not be used does not fail here but in each call, so that the
 * rest of a program can do without an engine.
 *
 * Return: 0 or a negative errno, when there is no memory or no descriptor left.
 */
int engine_open(const struct endpoint_settings *settings, unsigned timeout_ms,
		struct engine **engine, struct err *err)
{
	struct engine *made = calloc(1, sizeof(*made));

	if (!made)
		return err_sys(err, ENOMEM, "docker engine");
	made->settings = *settings;
	made->timeout_ms = timeout_ms;
	made->abort_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (made->abort_fd < 0) {
		free(made);
		return err_sys(err, errno, "docker engine: eventfd");
	}
	*engine = made;
	return 0;
}

/* engine_close() - the end; no call may be under way, and no watch */
void engine_close(struct engine *engine)
{
	if (!engine)
		return;
	close(engine->abort_fd);
	free(engine);
}

/* engine_abort() - make all calls fail with ECANCELED, those under way and those to come
 *
 * From any thread, also from a signal handler. Watches are not concerned, but what
 * a listener asks the engine is.
 */
void engine_abort(struct engine *engine)
{
	const uint64_t one = 1;
	ssize_t written = write(engine->abort_fd, &one, sizeof(one));

	(void)written;
}

/* engine_host() - the engine's address, for people */
const char *engine_host(const struct engine *engine)
{
	const char *host = atomic_load(&engine->host);

	return host ? host : endpoint_host(&engine->settings);
}

/* engine_reference_ok() - whether a text can be a container's name, id or part of an id
 *
 * What can be has no meaning of its own in a URL.
 */
bool engine_reference_ok(const char *reference)
{
	const char *c = reference;

	if (!isalnum((unsigned char)*c))
		return false;
	while (isalnum((unsigned char)*c) || *c == '_' || *c == '.' || *c == '-')
		c++;
	return !*c && c - reference < ENGINE_NAME_MAX;
}

/* engine_resolve() - where to connect now */
int engine_resolve(const struct engine *engine, struct http_endpoint *endpoint, struct err *err)
{
	return endpoint_resolve(&engine->settings, engine_host(engine), endpoint, err);
}

/* engine_wrap() - say which engine an error is about */
int engine_wrap(const struct engine *engine, struct err *err)
{
	return err_wrap(err, "docker engine at %s", engine_host(engine));
}

/* engine_refused() - the error for an answer with another status than the one hoped for */
int engine_refused(const struct http_reply *reply, const char *what, struct err *err)
{
	char message[256];

	engine_json_message(reply->body, reply->length, message, sizeof(message));
	return err_set(err, EREMOTEIO, "%s: status %ld%s%s", what, reply->status,
		       message[0] ? ": " : "", message);
}

static int get(struct engine *engine, const char *path, size_t max, int abort_fd,
	       struct http_reply *reply, struct err *err)
{
	struct http_endpoint endpoint;
	const struct http_request request = {
		.endpoint = &endpoint, .path = path, .max = max,
		.timeout_ms = engine->timeout_ms, .abort_fd = abort_fd,
	};
	const char *host = engine_host(engine), *nobody = NULL;
	int rc = endpoint_resolve(&engine->settings, host, &endpoint, err);

	if (rc < 0)
		return rc;
	rc = http_get(&request, reply, err);
	if (rc >= 0 && reply->status == 200)
		atomic_compare_exchange_strong(&engine->host, &nobody, host);
	return rc;
}

static int agree(struct engine *engine, struct engine_info *info, struct err *err)
{
	unsigned api = engine_api_choose(engine_api_parse(info->api_min),
					 engine_api_parse(info->api));

	if (!api)
		return err_set(err, EPROTO, "it speaks API %s to %s, at least %u.%u is needed",
			       info->api_min, info->api, ENGINE_API_OLDEST / 1000,
			       ENGINE_API_OLDEST % 1000);
	snprintf(info->api_used, sizeof(info->api_used), "%u.%u", api / 1000, api % 1000);
	atomic_store(&engine->api, api);
	return 0;
}

/* engine_negotiate() - ask who the engine is, and settle on a version of the API
 *
 * The error does not name the engine yet: engine_wrap() does.
 */
int engine_negotiate(struct engine *engine, int abort_fd, struct engine_info *info,
		     struct err *err)
{
	struct http_reply reply;
	int rc = get(engine, "/version", INFO_MAX, abort_fd, &reply, err);

	if (rc < 0)
		return rc;
	if (reply.status == 200)
		rc = engine_json_info(reply.body, reply.length, info, err);
	else
		rc = engine_refused(&reply, "version", err);
	http_reply_free(&reply);
	return rc < 0 ? rc : agree(engine, info, err);
}

/* The version to speak; another thread may find at any time that it is out of date. */
static int agreed_api(struct engine *engine, unsigned *api, struct err *err)
{
	struct engine_info info;
	int rc;

	*api = atomic_load(&engine->api);
	if (*api)
		return 0;
	rc = engine_negotiate(engine, engine->abort_fd, &info, err);
	if (!rc)
		*api = engine_api_parse(info.api_used);
	return rc;
}

/* One request under the version agreed on, which the first one settles */
static int get_once(struct engine *engine, const char *path, size_t max,
		    struct http_reply *reply, struct err *err)
{
	char versioned[HTTP_PATH_MAX];
	unsigned api;
	int rc = agreed_api(engine, &api, err);

	if (rc < 0)
		return rc;
	snprintf(versioned, sizeof(versioned), "/v%u.%u%s", api / 1000, api % 1000, path);
	return get(engine, versioned, max, engine->abort_fd, reply, err);
}

static int get_versioned(struct engine *engine, const char *path, size_t max,
			 struct http_reply *reply, struct err *err)
{
	bool agreed = atomic_load(&engine->api);
	int rc = get_once(engine, path, max, reply, err);

	if (rc < 0 || reply->status != 400 || !agreed)
		return rc;
	http_reply_free(reply);
	atomic_store(&engine->api, 0);
	return get_once(engine, path, max, reply, err);
}

/* engine_version() - ask the engine who it is
 *
 * Return: 0 or a negative errno; see the head of engine.h.
 */
int engine_version(struct engine *engine, struct engine_info *info, struct err *err)
{
	if (engine_negotiate(engine, engine->abort_fd, info, err) < 0)
		return engine_wrap(engine, err);
	return 0;
}

/* Docker answers 500 or 400 for a prefix of several ids, Podman 404: the words decide. */
static bool is_ambiguous(const char *message)
{
	return strcasestr(message, "multiple ids found") || strstr(message, "more than one");
}

static int not_found(const struct http_reply *reply, const char *reference, struct err *err)
{
	char message[256];

	engine_json_message(reply->body, reply->length, message, sizeof(message));
	if (is_ambiguous(message))
		return err_set(err, ENOTUNIQ, "more than one container has an id that begins "
			       "with %s", reference);
	if (reply->status == 404)
		return err_set(err, ENOENT, "no such container: %s", reference);
	return engine_refused(reply, "container", err);
}

static int inspect(struct engine *engine, const char *reference,
		   struct engine_container *container, struct err *err)
{
	char path[ENGINE_NAME_MAX + 32];
	struct http_reply reply;
	int rc;

	snprintf(path, sizeof(path), "/containers/%s/json", reference);
	rc = get_versioned(engine, path, CONTAINER_MAX, &reply, err);
	if (rc < 0)
		return rc;
	if (reply.status == 200)
		rc = engine_json_container(reply.body, reply.length, container, err);
	else
		rc = not_found(&reply, reference, err);
	http_reply_free(&reply);
	return rc;
}

/* engine_inspect() - what the engine knows of one container
 * @reference: a name, an id, or the beginning of just one id
 *
 * Return: 0 or a negative errno; see the head of engine.h.
 */
int engine_inspect(struct engine *engine, const char *reference,
		   struct engine_container *container, struct err *err)
{
	int rc;

	if (!engine_reference_ok(reference))
		return err_set(err, EINVAL, "not the name or id of a container");
	rc = inspect(engine, reference, container, err);
	if (rc < 0 && rc != -ENOENT && rc != -ENOTUNIQ)
		return engine_wrap(engine, err);
	return rc;
}

/* engine_list_running() - the containers that run, or are paused
 * @list: allocated here, the caller frees it; at least one entry long
 *
 * Return: 0 or a negative errno; see the head of engine.h.
 */
int engine_list_running(struct engine *engine, struct engine_summary **list, size_t *count,
			struct err *err)
{
	struct http_reply reply;
	int rc = get_versioned(engine, list_path, LIST_MAX, &reply, err);

	if (rc < 0)
		return engine_wrap(engine, err);
	if (reply.status == 200)
		rc = engine_json_list(reply.body, reply.length, list, count, err);
	else
		rc = engine_refused(&reply, "list", err);
	http_reply_free(&reply);
	return rc < 0 ? engine_wrap(engine, err) : 0;
}

/* Where it may not be read it is empty: /proc may hide the processes of other users. */
static int read_cgroup(pid_t pid, char text[CGROUP_TEXT_MAX], struct err *err)
{
	char path[64];
	ssize_t length;
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/cgroup", (int)pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 && kill(pid, 0) < 0 && errno == ESRCH)
		return err_set(err, ESRCH, "no such process: %d", (int)pid);
	text[0] = '\0';
	if (fd < 0)
		return 0;
	length = read(fd, text, CGROUP_TEXT_MAX - 1);
	text[length > 0 ? length : 0] = '\0';
	close(fd);
	return 0;
}

/* The next run of exactly 64 hexadecimal digits in *@at, which moves behind it */
static bool next_id(const char **at, char id[ENGINE_ID_MAX])
{
	static const char digits[] = "0123456789abcdef";

	for (;;) {
		const char *start = *at + strcspn(*at, digits);
		size_t length = strspn(start, digits);

		if (!length)
			return false;
		*at = start + length;
		if (length == ENGINE_ID_MAX - 1) {
			memcpy(id, start, length);
			id[length] = '\0';
			return true;
		}
	}
}

/* 1: found; 0: the container is not that one, or gone; negative: the engine failed */
static int matches(struct engine *engine, const char *id, pid_t pid,
		   struct engine_container *container, struct err *err)
{
	int rc = inspect(engine, id, container, err);

	if (rc == -ENOENT)
		return 0;
	return rc < 0 ? rc : container->pid == pid;
}

/* 1: @container is the one; 0: none of those that the cgroup names */
static int find_by_cgroup(struct engine *engine, const char *cgroup, pid_t pid,
			  struct engine_container *container, struct err *err)
{
	char id[ENGINE_ID_MAX], last[ENGINE_ID_MAX] = "";
	int rc = 0;

	while (!rc && next_id(&cgroup, id)) {
		if (strcmp(id, last) != 0)
			rc = matches(engine, id, pid, container, err);
		strcpy(last, id);
	}
	return rc;
}

static int find_in_list(struct engine *engine, pid_t pid, struct engine_container *container,
			struct err *err)
{
	struct engine_summary *list = NULL;
	size_t count = 0;
	int rc = engine_list_running(engine, &list, &count, err);

	if (rc < 0)
		return rc;
	for (size_t i = 0; !rc && i < count; i++)
		rc = matches(engine, list[i].id, pid, container, err);
	free(list);
	return rc;
}

/* engine_find_by_pid() - the container whose first process is @pid
 *
 * The process's cgroup mostly names the container, which makes this one request;
 * where it does not, all running containers are asked for. In both cases it is the
 * engine's word that counts. A process that a container's first one has started
 * is not found.
 *
 * Return: 0; -ESRCH when there is no such process; -ENOENT when it is no container's;
 * otherwise see the head of engine.h.
 */
int engine_find_by_pid(struct engine *engine, pid_t pid, struct engine_container *container,
		       struct err *err)
{
	char cgroup[CGROUP_TEXT_MAX];
	int rc = read_cgroup(pid, cgroup, err);

	if (rc < 0)
		return rc;
	rc = find_by_cgroup(engine, cgroup, pid, container, err);
	if (rc < 0)
		return engine_wrap(engine, err);
	if (!rc)
		rc = find_in_list(engine, pid, container, err);
	if (rc < 0)
		return rc;
	return rc ? 0 : err_set(err, ENOENT, "process %d belongs to no container", (int)pid);
}
