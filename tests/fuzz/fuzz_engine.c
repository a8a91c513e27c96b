/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Fuzz target: what an engine answers, and where it is.
 *
 * Input: a letter that says which answer it is, or h for DOCKER_HOST; then its bytes.
 */
#include <config.h>

#include "docker/engine_internal.h"

#include <netdb.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool holds)
{
	if (!holds)
		abort();
}

/* The program's own symbol takes precedence: every host is this one. */
int getaddrinfo(const char *node, const char *service, const struct addrinfo *hints,
		struct addrinfo **result)
{
	static struct sockaddr_in loopback;
	static struct addrinfo address = {
		.ai_family = AF_INET,
		.ai_socktype = SOCK_STREAM,
		.ai_addr = (struct sockaddr *)&loopback,
		.ai_addrlen = sizeof(loopback),
	};

	(void)hints;
	require(*node && *service);
	loopback = (struct sockaddr_in){
		.sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
	*result = &address;
	return 0;
}

void freeaddrinfo(struct addrinfo *list)
{
	(void)list;
}

static void require_name(const char *name)
{
	require(!*name || engine_reference_ok(name));
}

static void require_id(const char *id)
{
	require(strlen(id) == ENGINE_ID_MAX - 1 && engine_reference_ok(id));
}

static void try_info(const char *text, size_t length)
{
	struct engine_info info;
	struct err err;

	if (engine_json_info(text, length, &info, &err) < 0)
		return;
	require(engine_api_parse(info.api) && engine_api_parse(info.api_min));
}

static void try_container(const char *text, size_t length)
{
	struct engine_container container;
	struct err err;

	if (engine_json_container(text, length, &container, &err) < 0)
		return;
	require_id(container.id);
	require_name(container.name);
	require(container.pid >= 0 && container.state < ENGINE_STATE_COUNT);
}

static void try_list(const char *text, size_t length)
{
	struct engine_summary *list;
	struct err err;
	size_t count;

	if (engine_json_list(text, length, &list, &count, &err) < 0)
		return;
	for (size_t i = 0; i < count; i++) {
		require_id(list[i].id);
		require_name(list[i].name);
	}
	free(list);
}

static void try_event(const char *text, size_t length)
{
	struct engine_event event;
	struct err err;

	if (engine_json_event(text, length, &event, &err) != 1)
		return;
	require_id(event.id);
	require_name(event.name);
	require(event.action < ENGINE_ACTION_COUNT);
}

static void try_message(const char *text, size_t length)
{
	char message[100];

	engine_json_message(text, length, message, sizeof(message));
	for (const char *c = message; *c; c++)
		require(*c >= ' ' && *c <= '~');
}

static void require_terminated(const char *text, size_t size)
{
	require(memchr(text, '\0', size));
}

static void try_host(const char *text, size_t length)
{
	struct endpoint_settings settings = { .tls = true };
	struct http_endpoint endpoint;
	struct err err;

	if (!length || length >= sizeof(settings.host))
		return;
	memcpy(settings.host, text, length);
	if (endpoint_resolve(&settings, endpoint_host(&settings), &endpoint, &err) < 0) {
		require(err.code > 0 && *err.text);
		return;
	}
	require_terminated(endpoint.socket, sizeof(endpoint.socket));
	require_terminated(endpoint.authority, sizeof(endpoint.authority));
	require_terminated(endpoint.pin, sizeof(endpoint.pin));
	/* nothing that ends the host of a URL */
	require(*endpoint.authority && !strpbrk(endpoint.authority, "/?#@ \r\n"));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	/* the parsers are given no NUL behind the text, so neither are they here */
	const char *text = (const char *)data + 1;

	if (!size)
		return 0;
	switch (data[0]) {
	case 'i':
		try_info(text, size - 1);
		break;
	case 'c':
		try_container(text, size - 1);
		break;
	case 'l':
		try_list(text, size - 1);
		break;
	case 'e':
		try_event(text, size - 1);
		break;
	case 'h':
		try_host(text, size - 1);
		break;
	default:
		try_message(text, size - 1);
	}
	return 0;
}
