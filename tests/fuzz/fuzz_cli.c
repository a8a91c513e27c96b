/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Fuzz target: a command line, and the address that it may have.
 *
 * Input: the arguments behind the program's name, with NULs between them.
 */
#include <config.h>

#include "conf/options.h"

#include <getopt.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "ctl/listen.h"

#define MAX_ARGUMENTS 32

struct command_line {
	int argc;
	char *argv[MAX_ARGUMENTS + 2];	/* each in memory of its own, without slack */
};

static bool told;

static void note_line(enum log_stream stream, const char *line)
{
	(void)stream;
	told = *line;
}

static void require(bool holds)
{
	if (!holds)
		abort();
}

static void add(struct command_line *line, const uint8_t *text, size_t len)
{
	char *copy = malloc(len + 1);

	require(copy);
	if (len)
		memcpy(copy, text, len);
	copy[len] = '\0';
	line->argv[line->argc++] = copy;
}

static void make(struct command_line *line, const uint8_t *data, size_t size)
{
	const uint8_t *end = data + size;

	*line = (struct command_line){ 0 };
	add(line, (const uint8_t *)"ubridge", strlen("ubridge"));
	while (data < end && line->argc <= MAX_ARGUMENTS) {
		size_t len = strnlen((const char *)data, (size_t)(end - data));

		add(line, data, len);
		data += len + 1;
	}
}

static void discard(struct command_line *line)
{
	for (int i = 0; i < line->argc; i++)
		free(line->argv[i]);
}

static bool same_text(const char *a, const char *b)
{
	return a && b ? !strcmp(a, b) : a == b;
}

static void require_same(const struct options *a, const struct options *b)
{
	require(a->action == b->action && a->same_user == b->same_user &&
		a->least_privilege == b->least_privilege && a->no_offload == b->no_offload &&
		a->no_replug == b->no_replug && a->has_seed == b->has_seed && a->seed == b->seed &&
		a->debug == b->debug && a->workers == b->workers &&
		a->max_clients == b->max_clients && a->max_bridges == b->max_bridges &&
		a->delay_frames == b->delay_frames);
	require(same_text(a->config, b->config) && same_text(a->listen, b->listen) &&
		same_text(a->listen_unix, b->listen_unix));
}

static void check(const struct options *options)
{
	require(options->action <= OPTIONS_DEVICES && options->config);
	require(options->debug <= 2 && options->workers <= 1024);
	require(options->seed <= INT64_MAX && (options->has_seed || !options->seed));
}

static void read_address(const char *text)
{
	struct listen_spec spec;
	struct err err;

	if (listen_parse(&spec, text, &err) < 0)
		require(err.code > 0 && *err.text);
	else
		require(spec.port && strlen(spec.host) <= strlen(text));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct options options, again;
	struct command_line line;
	bool good;

	log_set_sink(note_line);
	opterr = 0;
	told = false;
	make(&line, data, size);
	good = options_parse(&options, line.argc, line.argv);
	/* what stands for itself is told by getopt_long() */
	require(!good || !told);
	if (good) {
		check(&options);
		if (options.listen)
			read_address(options.listen);
	}
	/* by now the arguments may be in another order, which means the same */
	require(options_parse(&again, line.argc, line.argv) == good);
	if (good)
		require_same(&options, &again);
	discard(&line);
	return 0;
}
