/* SPDX-License-Identifier: GPL-3.0-or-later */
/* docker/engine: versions, answers, events, addresses; what is not right is refused */
#include <config.h>

#include "docker/engine_internal.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

#define ID16 "0123456789abcdef"
#define ID ID16 ID16 ID16 ID16

static void version_numbers(void **state)
{
	static const struct {
		const char *text;
		unsigned want;
	} cases[] = {
		{ "1.41", 1041 }, { "1.5", 1005 }, { "2.0", 2000 }, { "999.999", 999999 },
		{ "0.0", 0 }, { "", 0 }, { NULL, 0 }, { "1", 0 }, { "1.", 0 }, { ".1", 0 },
		{ "1.41.2", 0 }, { " 1.41", 0 }, { "1.41x", 0 }, { "-1.4", 0 }, { "+1.4", 0 },
		{ "1.-4", 0 }, { "1.1000", 0 }, { "1000.1", 0 }, { "1..4", 0 },
		{ "99999999999.1", 0 },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++)
		assert_int_equal(engine_api_parse(cases[i].text), cases[i].want);
}

static void version_choice(void **state)
{
	static const struct {
		unsigned oldest, newest, want;
	} cases[] = {
		{ 1012, 1041, 1041 },			/* Docker 20.10 */
		{ 1024, 1041, 1041 },			/* Podman */
		{ 1044, 1052, 1044 },			/* Docker 29 */
		{ 1012, 1048, ENGINE_API_NEWEST },
		{ 1060, 1070, 1060 },			/* one that is yet to come */
		{ 2001, 2003, 2001 },
		{ 1012, 1024, 1024 },
		{ 1012, 1023, 0 },			/* too old */
		{ 1050, 1041, 0 },			/* nonsense */
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++)
		assert_int_equal(engine_api_choose(cases[i].oldest, cases[i].newest),
				 cases[i].want);
}

static void reads_info(void **state)
{
	static const char docker[] =
		"{\"Components\":[{\"Name\":\"Engine\"}],\"Version\":\"20.10.24+dfsg1\","
		"\"ApiVersion\":\"1.41\",\"MinAPIVersion\":\"1.12\",\"Os\":\"linux\"}";
	static const char podman[] =
		"{\"Components\":[{\"Name\":\"Podman Engine\"}],\"Version\":\"4.3.1\","
		"\"ApiVersion\":\"1.41\",\"MinAPIVersion\":\"1.24\"}";
	static const char bare[] = "{\"Version\":\"1\",\"ApiVersion\":\"1.30\"}";
	struct engine_info info;
	struct err err;

	(void)state;
	assert_int_equal(engine_json_info(docker, strlen(docker), &info, &err), 0);
	assert_string_equal(info.version, "20.10.24+dfsg1");
	assert_string_equal(info.api, "1.41");
	assert_string_equal(info.api_min, "1.12");
	assert_false(info.podman);
	assert_int_equal(engine_json_info(podman, strlen(podman), &info, &err), 0);
	assert_true(info.podman);
	assert_int_equal(engine_json_info(bare, strlen(bare), &info, &err), 0);
	assert_string_equal(info.api_min, "1.0");
}

static void refuses_bad_info(void **state)
{
	static const char *const cases[] = {
		"", "{}", "[]", "null", "42", "{\"Version\":\"1\"}", "{\"ApiVersion\":\"1.41\"}",
		"{\"Version\":1,\"ApiVersion\":\"1.41\"}",
		"{\"Version\":\"1\",\"ApiVersion\":1.41}",
		"{\"Version\":\"1\",\"ApiVersion\":\"v1.41\"}",
		"{\"Version\":\"1\",\"ApiVersion\":\"1.41\",\"MinAPIVersion\":\"old\"}",
		"{\"Version\":\"" ID "\",\"ApiVersion\":\"1.41\"}",
	};
	struct engine_info info;
	struct err err;

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		assert_int_equal(engine_json_info(cases[i], strlen(cases[i]), &info, &err),
				 -EPROTO);
		assert_int_equal(err.code, EPROTO);
	}
}

/* A container's JSON of its parts, each as it stands in the text */
struct parts {
	const char *id, *name, *status, *running, *pid, *started, *mode;
};

static const struct parts good = {
	"\"" ID "\"", "\"/web\"", "\"running\"", "true", "4321", "\"2026-01-02T03:04:05Z\"",
	"\"none\"",
};

static int read_parts(const struct parts *parts, struct engine_container *container,
		      struct err *err)
{
	char text[2048];
	int length = snprintf(text, sizeof(text),
			      "{\"Id\":%s,\"Name\":%s,\"State\":{\"Status\":%s,\"Running\":%s,"
			      "\"Pid\":%s,\"StartedAt\":%s},\"HostConfig\":{\"NetworkMode\":%s},"
			      "\"Mounts\":[{}]}", parts->id, parts->name, parts->status,
			      parts->running, parts->pid, parts->started, parts->mode);

	assert_true(length > 0 && (size_t)length < sizeof(text));
	return engine_json_container(text, (size_t)length, container, err);
}

static void reads_container(void **state)
{
	struct engine_container container;
	struct err err;

	(void)state;
	assert_int_equal(read_parts(&good, &container, &err), 0);
	assert_string_equal(container.id, ID);
	assert_string_equal(container.name, "web");
	assert_int_equal(container.state, ENGINE_RUNNING);
	assert_int_equal(container.pid, 4321);
	assert_int_equal(container.network, ENGINE_NET_OWN);
	assert_string_equal(container.network_mode, "none");
	assert_string_equal(container.started_at, "2026-01-02T03:04:05Z");
}

static void reads_states(void **state)
{
	static const struct {
		const char *status, *running, *pid;
		enum engine_state want;
		int want_pid;
	} cases[] = {
		{ "\"created\"", "false", "0", ENGINE_CREATED, 0 },
		{ "\"paused\"", "true", "5", ENGINE_PAUSED, 5 },
		{ "\"restarting\"", "true", "0", ENGINE_RESTARTING, 0 },
		{ "\"exited\"", "false", "0", ENGINE_EXITED, 0 },
		{ "\"exited\"", "false", "77", ENGINE_EXITED, 0 },	/* not its pid any more */
		{ "\"dead\"", "false", "0", ENGINE_DEAD, 0 },
		{ "\"removing\"", "false", "0", ENGINE_REMOVING, 0 },
		{ "\"stopping\"", "true", "6", ENGINE_STOPPING, 6 },
		{ "\"stopped\"", "false", "0", ENGINE_EXITED, 0 },
		{ "\"initialized\"", "false", "0", ENGINE_CREATED, 0 },
		{ "\"dreaming\"", "true", "7", ENGINE_UNKNOWN, 7 },
	};
	struct engine_container container;
	struct err err;

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct parts parts = good;

		parts.status = cases[i].status;
		parts.running = cases[i].running;
		parts.pid = cases[i].pid;
		assert_int_equal(read_parts(&parts, &container, &err), 0);
		assert_int_equal(container.state, cases[i].want);
		assert_int_equal(container.pid, cases[i].want_pid);
	}
}

static void reads_networks(void **state)
{
	static const struct {
		const char *mode;
		enum engine_network want;
	} cases[] = {
		{ "\"host\"", ENGINE_NET_HOST }, { "\"none\"", ENGINE_NET_OWN },
		{ "\"default\"", ENGINE_NET_OWN }, { "\"hosting\"", ENGINE_NET_OWN },
		{ "\"container:" ID "\"", ENGINE_NET_SHARED },
		{ "\"ns:/run/netns/x\"", ENGINE_NET_SHARED }, { "\"slirp4netns\"", ENGINE_NET_OWN },
	};
	struct engine_container container;
	struct err err;

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct parts parts = good;

		parts.mode = cases[i].mode;
		assert_int_equal(read_parts(&parts, &container, &err), 0);
		assert_int_equal(container.network, cases[i].want);
	}
}

static void reads_a_container_without_a_name(void **state)
{
	static const char *const names[] = { "\"\"", "null" };
	struct engine_container container;
	struct err err;

	(void)state;
	for (size_t i = 0; i < COUNT(names); i++) {
		struct parts parts = good;

		parts.name = names[i];
		assert_int_equal(read_parts(&parts, &container, &err), 0);
		assert_string_equal(container.name, "");
	}
}

/* Each part in turn is what it must not be. */
static void refuses_bad_parts(void **state)
{
	static const struct {
		size_t part;
		const char *text;
	} cases[] = {
#define PART(member) (offsetof(struct parts, member))
		{ PART(id), "\"short\"" }, { PART(id), "null" }, { PART(id), "1" },
		{ PART(id), "\"" ID "0\"" }, { PART(id), "\"" ID16 ID16 ID16 "0123456789ABCDEF\"" },
		{ PART(id), "\"../../../../../../../../../../../../../../../../../../../../../0\"" },
		{ PART(name), "\"a b\"" }, { PART(name), "\"//x\"" }, { PART(name), "\"a\\r\\nb\"" },
		{ PART(status), "null" }, { PART(status), "3" }, { PART(running), "\"true\"" },
		{ PART(running), "1" }, { PART(running), "null" }, { PART(pid), "-1" },
		{ PART(pid), "4194305" }, { PART(pid), "\"1\"" }, { PART(pid), "1.0" },
		{ PART(pid), "99999999999999999999" }, { PART(pid), "null" },
		{ PART(started), "null" }, { PART(started), "0" },
		{ PART(started), "\"" ID "\"" }, { PART(mode), "null" }, { PART(mode), "{}" },
		{ PART(mode), "\"" ID ID ID ID "\"" },
#undef PART
	};
	struct engine_container container;
	struct err err;

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct parts parts = good;

		*(const char **)((char *)&parts + cases[i].part) = cases[i].text;
		assert_int_equal(read_parts(&parts, &container, &err), -EPROTO);
	}
}

static void refuses_half_a_container(void **state)
{
	static const char text[] =
		"{\"Id\":\"" ID "\",\"Name\":\"/a\",\"State\":{\"Status\":\"running\","
		"\"Running\":true,\"Pid\":1,\"StartedAt\":\"x\"},"
		"\"HostConfig\":{\"NetworkMode\":\"none\"}}";
	struct engine_container container;
	struct err err;

	(void)state;
	assert_int_equal(engine_json_container(text, strlen(text), &container, &err), 0);
	for (size_t length = 0; length < strlen(text); length++)
		assert_int_equal(engine_json_container(text, length, &container, &err), -EPROTO);
}

static void reads_list(void **state)
{
	static const char text[] =
		"[{\"Id\":\"" ID "\",\"Names\":[\"/other/alias\",\"/web\"],\"State\":\"paused\"},"
		"{\"Id\":\"" ID "\",\"Names\":null,\"State\":\"removing\"},"
		"{\"Id\":\"" ID "\",\"Names\":[3,\"/db\"]}]";
	struct engine_summary *list;
	struct err err;
	size_t count;

	(void)state;
	assert_int_equal(engine_json_list(text, strlen(text), &list, &count, &err), 0);
	assert_int_equal(count, 3);
	assert_string_equal(list[0].id, ID);
	assert_string_equal(list[0].name, "web");
	assert_int_equal(list[0].state, ENGINE_PAUSED);
	assert_string_equal(list[1].name, "");
	assert_string_equal(list[2].name, "db");
	assert_int_equal(list[2].state, ENGINE_UNKNOWN);
	free(list);
	assert_int_equal(engine_json_list("[]", 2, &list, &count, &err), 0);
	assert_int_equal(count, 0);
	free(list);
}

static void refuses_bad_list(void **state)
{
	static const char *const cases[] = { "", "{}", "null", "[1]", "[{}]", "[{\"Id\":\"x\"}]",
					     "[{\"Id\":\"" ID "\"},[]]" };
	struct engine_summary *list;
	struct err err;
	size_t count;

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++)
		assert_int_equal(engine_json_list(cases[i], strlen(cases[i]), &list, &count, &err),
				 -EPROTO);
}

/* Text within the bounds that would take hundreds of megabytes when read */
static void refuses_too_many_values(void **state)
{
	static const char *const values[] = { "[],", "{},", "1," };
	static char text[8 * 1024 * 1024];
	struct engine_summary *list;
	struct err err;
	size_t count;

	(void)state;
	for (size_t i = 0; i < COUNT(values); i++) {
		size_t length = strlen(values[i]);

		text[0] = '[';
		for (size_t at = 1; at < sizeof(text); at++)
			text[at] = values[i][(at - 1) % length];
		assert_int_equal(engine_json_list(text, sizeof(text), &list, &count, &err),
				 -EMSGSIZE);
	}
}

static int read_event(const char *type, const char *action, const char *attributes,
		      struct engine_event *event, struct err *err)
{
	char text[1024];
	int length = snprintf(text, sizeof(text),
			      "{\"Type\":%s,\"Action\":%s,\"Actor\":{\"ID\":\"" ID "\","
			      "\"Attributes\":%s},\"timeNano\":1700000000123456789}", type,
			      action, attributes);

	assert_true(length > 0 && (size_t)length < sizeof(text));
	return engine_json_event(text, (size_t)length, event, err);
}

static void reads_events(void **state)
{
	static const struct {
		const char *word;
		enum engine_action want;
	} cases[] = {
		{ "create", ENGINE_EVENT_CREATE }, { "start", ENGINE_EVENT_START },
		{ "restart", ENGINE_EVENT_RESTART }, { "pause", ENGINE_EVENT_PAUSE },
		{ "unpause", ENGINE_EVENT_UNPAUSE }, { "kill", ENGINE_EVENT_KILL },
		{ "die", ENGINE_EVENT_DIE }, { "died", ENGINE_EVENT_DIE },
		{ "stop", ENGINE_EVENT_STOP }, { "rename", ENGINE_EVENT_RENAME },
		{ "destroy", ENGINE_EVENT_DESTROY }, { "remove", ENGINE_EVENT_DESTROY },
	};
	struct engine_event event;
	struct err err;

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		char action[32];

		snprintf(action, sizeof(action), "\"%s\"", cases[i].word);
		assert_int_equal(read_event("\"container\"", action,
					    "{\"name\":\"web\",\"oldName\":\"/old\"}",
					    &event, &err), 1);
		assert_int_equal(event.action, cases[i].want);
		assert_string_equal(event.id, ID);
		assert_string_equal(event.name, "web");
	}
}

static void passes_over_other_events(void **state)
{
	static const struct {
		const char *type, *action;
	} cases[] = {
		{ "\"container\"", "\"exec_start: sh -c x\"" }, { "\"container\"", "\"oom\"" },
		{ "\"container\"", "\"health_status: healthy\"" }, { "\"container\"", "\"\"" },
		{ "\"network\"", "\"start\"" }, { "\"image\"", "\"remove\"" },
	};
	struct engine_event event;
	struct err err;

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++)
		assert_int_equal(read_event(cases[i].type, cases[i].action, "{}", &event, &err), 0);
}

static void refuses_bad_events(void **state)
{
	static const char *const cases[] = {
		"", "x", "{}", "[]", "{\"Type\":\"container\"}",
		"{\"Type\":1,\"Action\":\"start\"}", "{\"Type\":\"container\",\"Action\":2}",
		"{\"Type\":\"container\",\"Action\":\"start\"}",
		"{\"Type\":\"container\",\"Action\":\"start\",\"Actor\":\"" ID "\"}",
		"{\"Type\":\"container\",\"Action\":\"start\",\"Actor\":{\"ID\":\"1\"}}",
		"{\"Type\":\"container\",\"Action\":\"start\",\"Actor\":{\"ID\":\"" ID "\","
		"\"Attributes\":{\"name\":\"a b\"}}}",
	};
	struct engine_event event;
	struct err err;

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++)
		assert_int_equal(engine_json_event(cases[i], strlen(cases[i]), &event, &err),
				 -EPROTO);
}

static void names_states_and_actions(void **state)
{
	(void)state;
	assert_string_equal(engine_state_name(ENGINE_UNKNOWN), "unknown");
	assert_string_equal(engine_state_name(ENGINE_EXITED), "exited");
	for (int i = ENGINE_UNKNOWN + 1; i < ENGINE_STATE_COUNT; i++)
		assert_string_not_equal(engine_state_name((enum engine_state)i), "unknown");
	assert_string_equal(engine_action_name(ENGINE_EVENT_DESTROY), "destroy");
	for (int i = 0; i < ENGINE_ACTION_COUNT; i++)
		assert_string_not_equal(engine_action_name((enum engine_action)i), "unknown");
}

static void messages_are_one_line(void **state)
{
	static const struct {
		const char *body, *want;
	} cases[] = {
		{ "{\"message\":\"No such container: x\"}", "No such container: x" },
		{ "{\"cause\":\"c\",\"message\":\"m\",\"response\":404}", "m" },
		{ "404 page not found\n", "404 page not found?" }, { "", "" }, { NULL, "" },
		{ "{\"message\":3}", "{\"message\":3}" },
		{ "{\"message\":\"a\\r\\n100-OK\"}", "a??100-OK" },
		{ "0123456789012345678901234567890123456789", "0123456789012345678901234567890" },
	};
	char message[32];

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		engine_json_message(cases[i].body, cases[i].body ? strlen(cases[i].body) : 0,
				    message, sizeof(message));
		assert_string_equal(message, cases[i].want);
	}
}

static void references(void **state)
{
	static const char *const bad[] = { "", ".", "-a", "_a", "a/b", "a b", "a%20", "a?b", "a#b",
					   "a:b", "a\n", "\xc3\xa4", "/a" };
	/* NOLINTNEXTLINE(bugprone-suspicious-missing-comma): ID is four literals */
	static const char *const fine[] = { "a", "0", ID, "web-1", "a.b_c-d", "A" };
	char longest[ENGINE_NAME_MAX + 1];

	(void)state;
	for (size_t i = 0; i < COUNT(bad); i++)
		assert_false(engine_reference_ok(bad[i]));
	for (size_t i = 0; i < COUNT(fine); i++)
		assert_true(engine_reference_ok(fine[i]));
	memset(longest, 'a', sizeof(longest));
	longest[ENGINE_NAME_MAX] = '\0';
	assert_false(engine_reference_ok(longest));
	longest[ENGINE_NAME_MAX - 1] = '\0';
	assert_true(engine_reference_ok(longest));
}

static int resolve(const char *host, bool tls, struct http_endpoint *endpoint)
{
	struct endpoint_settings settings = { .tls = tls, .verify = tls, .cert_dir = "/certs" };
	struct err err;

	snprintf(settings.host, sizeof(settings.host), "%s", host);
	return endpoint_resolve(&settings, endpoint_host(&settings), endpoint, &err);
}

static void addresses(void **state)
{
	static const struct {
		const char *host;
		int rc;
	} cases[] = {
		{ "unix:///run/x.sock", 0 }, { "tcp://127.0.0.1:2375", 0 }, { "tcp://[::1]:9", 0 },
		{ "tcp://192.0.2.7:2375", -EREMOTE }, { "ssh://x", -EREMOTE },
		{ "npipe:////./pipe/x", -EPROTONOSUPPORT }, { "fd://3", -EPROTONOSUPPORT },
		{ "http://127.0.0.1", -EINVAL }, { "127.0.0.1:2375", -EINVAL },
		{ "tcp://", -EINVAL }, { "tcp://:2375", -EINVAL }, { "tcp://127.0.0.1:", -EINVAL },
		{ "tcp://127.0.0.1:0", -EINVAL }, { "tcp://127.0.0.1:65536", -EINVAL },
		{ "tcp://127.0.0.1:1/x", -EINVAL }, { "tcp://[::1", -EINVAL },
		{ "tcp://[::1]x", -EINVAL }, { "tcp://a@127.0.0.1", -EINVAL },
		{ "UNIX:///x", -EINVAL },
	};
	struct http_endpoint endpoint;

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++)
		assert_int_equal(resolve(cases[i].host, false, &endpoint), cases[i].rc);
}

static void endpoints(void **state)
{
	struct http_endpoint endpoint;

	(void)state;
	assert_int_equal(resolve("unix:///run/x.sock", true, &endpoint), 0);
	assert_string_equal(endpoint.socket, "/run/x.sock");
	assert_false(endpoint.tls);
	assert_int_equal(resolve("unix://", false, &endpoint), 0);
	assert_string_equal(endpoint.socket, "/var/run/docker.sock");
	assert_int_equal(resolve("tcp://127.0.0.1", false, &endpoint), 0);
	assert_string_equal(endpoint.authority, "127.0.0.1:2375");
	assert_string_equal(endpoint.pin, "127.0.0.1:2375:127.0.0.1");
	assert_string_equal(endpoint.socket, "");
	assert_int_equal(resolve("tcp://127.0.0.1", true, &endpoint), 0);
	assert_string_equal(endpoint.authority, "127.0.0.1:2376");
	assert_true(endpoint.tls && endpoint.verify);
	assert_string_equal(endpoint.cert_dir, "/certs");
}

static void environment(void **state)
{
	struct endpoint_settings settings;
	struct err err;
	char text[1024];

	(void)state;
	unsetenv("DOCKER_HOST");
	unsetenv("DOCKER_TLS");
	unsetenv("DOCKER_CERT_PATH");
	setenv("DOCKER_TLS_VERIFY", "", 1);
	setenv("HOME", "/home/me", 1);
	assert_int_equal(endpoint_settings_from_env(&settings, &err), 0);
	assert_false(settings.tls || settings.verify);
	assert_string_equal(settings.host, "");
	assert_string_equal(settings.cert_dir, "/home/me/.docker");
	setenv("DOCKER_TLS", "1", 1);
	setenv("DOCKER_CERT_PATH", "/c", 1);
	setenv("DOCKER_HOST", "tcp://x", 1);
	assert_int_equal(endpoint_settings_from_env(&settings, &err), 0);
	assert_true(settings.tls && !settings.verify);
	assert_string_equal(settings.cert_dir, "/c");
	assert_string_equal(endpoint_host(&settings), "tcp://x");
	memset(text, 'x', sizeof(text));
	text[sizeof(text) - 1] = '\0';
	setenv("DOCKER_HOST", text, 1);
	assert_int_equal(endpoint_settings_from_env(&settings, &err), -ENAMETOOLONG);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(version_numbers),
		cmocka_unit_test(version_choice),
		cmocka_unit_test(reads_info),
		cmocka_unit_test(refuses_bad_info),
		cmocka_unit_test(reads_container),
		cmocka_unit_test(reads_states),
		cmocka_unit_test(reads_networks),
		cmocka_unit_test(reads_a_container_without_a_name),
		cmocka_unit_test(refuses_bad_parts),
		cmocka_unit_test(refuses_half_a_container),
		cmocka_unit_test(reads_list),
		cmocka_unit_test(refuses_bad_list),
		cmocka_unit_test(refuses_too_many_values),
		cmocka_unit_test(reads_events),
		cmocka_unit_test(passes_over_other_events),
		cmocka_unit_test(refuses_bad_events),
		cmocka_unit_test(names_states_and_actions),
		cmocka_unit_test(messages_are_one_line),
		cmocka_unit_test(references),
		cmocka_unit_test(addresses),
		cmocka_unit_test(endpoints),
		cmocka_unit_test(environment),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
