/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Fuzz target: a configuration file: what it says, and then its bridges, made in a jail. */
#include <config.h>

#include "conf/ini_file.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "conf/ini.h"
#include "core/bridge.h"
#include "jail.h"

/* Not what an input would have a capture write to. */
#define PATH "/tmp/read-by-fuzz-ini"
#define MAX_INPUT 4096

static void check_section(const struct ini_section *section)
{
	require(section->name && section->filters);
	for (enum ini_side side = 0; side < INI_SIDE_COUNT; side++) {
		const struct ini_endpoint *endpoint = &section->endpoint[side];

		require(endpoint->kind <= INI_KIND_COUNT);
		require((endpoint->kind == INI_KIND_COUNT) == !endpoint->value);
	}
	for (size_t i = 0; i < section->filter_count; i++)
		require(section->filters[i]);
}

/* Read twice, a file says the same twice. */
static void compare(const struct ini_section *a, const struct ini_section *b)
{
	while (a && b) {
		check_section(a);
		require(ini_section_equal(a, b));
		a = a->next;
		b = b->next;
	}
	require(!a && !b);
}

static void read_twice(void)
{
	struct ini_section *first, *second;
	struct err err;

	if (ini_file_read(PATH, &first, &err) < 0) {
		require(err.code > 0 && *err.text && !first);
		require(ini_file_read(PATH, &second, &err) < 0);
		return;
	}
	require(!ini_file_read(PATH, &second, &err));
	compare(first, second);
	ini_sections_free(first);
	ini_sections_free(second);
}

static void write_file(const uint8_t *data, size_t size)
{
	FILE *file = fopen(PATH, "wb");

	require(file && fwrite(data, 1, size, file) == size);
	require(!fclose(file));
}

static unsigned count_bridges(void)
{
	unsigned count = 0;

	for (const struct bridge *bridge = bridge_first(); bridge; bridge = bridge->next) {
		require(bridge_is_running(bridge) && bridge_nio_count(bridge) == SIDE_COUNT);
		count++;
	}
	return count;
}

/* Loaded again, the same file changes nothing that works. */
static void load_twice(void)
{
	struct err err;
	unsigned count;

	if (ini_load(PATH, &err) == 0) {
		count = count_bridges();
		ini_reload();
		require(count_bridges() >= count);
	}
	bridge_delete_all();
	ini_fini();
	jail_finish_jobs();
}

static void try_file(const uint8_t *data, size_t size)
{
	write_file(data, size);
	read_twice();
	load_twice();
}

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc;
	(void)argv;
	jail_start(NULL, try_file);
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size <= MAX_INPUT)
		jail_run(data, size);
	return 0;
}
