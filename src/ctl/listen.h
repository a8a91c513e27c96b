/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Where the control server listens. */
#ifndef CTL_LISTEN_H
#define CTL_LISTEN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

#define LISTEN_PORT_DEFAULT 4242
#define LISTEN_SOCKETS_MAX 8

/* What -H was given: an address as typed, empty for loopback, and a port. */
struct listen_spec {
	char host[256];
	uint16_t port;
};

int listen_parse(struct listen_spec *spec, const char *text, struct err *err);
int listen_open(const struct listen_spec *spec, int fds[LISTEN_SOCKETS_MAX], size_t *count,
		struct err *err);

#endif
