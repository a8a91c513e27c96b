/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Fuzz target: a configuration file. */
#include <config.h>

#include "conf/ini_file.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/log.h"

static void ignore_line(enum log_stream stream, const char *line)
{
	(void)stream;
	(void)line;
}

static void require(bool holds)
{
	if (!holds)
		abort();
}

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

static void read_twice(const char *path)
{
	struct ini_section *first, *second;
	struct err err;

	if (ini_file_read(path, &first, &err) < 0) {
		require(err.code > 0 && *err.text && !first);
		require(ini_file_read(path, &second, &err) < 0);
		return;
	}
	require(!ini_file_read(path, &second, &err));
	compare(first, second);
	ini_sections_free(first);
	ini_sections_free(second);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	int fd = memfd_create("ubridge.ini", MFD_CLOEXEC);
	char path[64];

	log_set_sink(ignore_line);
	require(fd >= 0);
	require(write(fd, data, size) == (ssize_t)size);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	read_twice(path);
	close(fd);
	return 0;
}
