/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What a user says of a Docker NIO, from text. */
#ifndef ATTACH_SPEC_H
#define ATTACH_SPEC_H

#include <stddef.h>

#include "attach/plug.h"

struct attach_spec {
	char container[ENGINE_NAME_MAX];	/* a name, an id or the beginning of one */
	struct plug_spec plug;		/* without an alias; guest_if is empty */
	bool has_mac;
	int wait;			/* seconds; -1: not said */
};

int attach_spec_parse(struct attach_spec *spec, const char *container, const char *interface,
		      size_t option_count, char *const *options, struct err *err);
int attach_spec_parse_text(struct attach_spec *spec, const char *text, struct err *err);

#endif
