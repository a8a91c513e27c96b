/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Fuzz target: what an engine answers.
 *
 * Input: a letter that says which answer it is, then its bytes.
 */
#include <config.h>

#include "docker/engine_internal.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool holds)
{
	if (!holds)
		abort();
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
	require_name(event.old_name);
	require(event.action < ENGINE_ACTION_COUNT);
}

static void try_message(const char *text, size_t length)
{
	char message[100];

	engine_json_message(text, length, message, sizeof(message));
	for (const char *c = message; *c; c++)
		require(*c >= ' ' && *c <= '~');
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
	default:
		try_message(text, size - 1);
	}
	return 0;
}
