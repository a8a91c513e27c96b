/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A configuration file as text: sections and the keys that matter, nothing opened yet. */
#ifndef CONF_INI_FILE_H
#define CONF_INI_FILE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"

/* Kinds of endpoints, in the order in which the first one of a section counts. */
enum ini_kind { INI_UDP, INI_UNIX, INI_ETHERNET, INI_TAP, INI_LINUX_RAW, INI_DOCKER,
	INI_KIND_COUNT };

enum ini_side { INI_SOURCE, INI_DESTINATION, INI_SIDE_COUNT };

struct ini_endpoint {
	enum ini_kind kind;		/* INI_KIND_COUNT: there is none */
	char *value;
};

struct ini_section {
	struct ini_section *next;
	char *name;
	struct ini_endpoint endpoint[INI_SIDE_COUNT];
	char *pcap_file, *pcap_protocol, *pcap_filter;	/* NULL: not given */
	char **filters;			/* "NAME TYPE [ARGUMENT]…", in the file's order */
	size_t filter_count;
};

int ini_file_read(const char *path, struct ini_section **sections, struct err *err);
void ini_section_free(struct ini_section *section);
void ini_sections_free(struct ini_section *first);
bool ini_section_equal(const struct ini_section *a, const struct ini_section *b);

#endif
