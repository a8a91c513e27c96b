/* SPDX-License-Identifier: GPL-3.0-or-later */
/* UDP tunnels: one datagram is one frame. */
#ifndef NIO_NIO_UDP_H
#define NIO_NIO_UDP_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "nio/nio.h"

struct udp_spec {
	uint16_t local_port;		/* 0: the kernel chooses */
	uint16_t remote_port;
	const char *host;		/* address or name, as typed */
	const char *local_text;		/* the ports, as typed */
	const char *remote_text;
};

/* Resolved addresses; NULL-safe to free. */
struct addrinfo;

bool udp_spec_parse(struct udp_spec *spec, const char *local, const char *host,
		    const char *remote, struct err *err);
bool udp_host_is_numeric(const char *host);
struct addrinfo *udp_resolve(const char *host, struct err *err);
void udp_resolve_free(struct addrinfo *addresses);

struct nio *nio_udp_open(const struct udp_spec *spec, const struct addrinfo *addresses,
			 struct err *err);
bool nio_udp_matches(const struct nio *nio, const struct udp_spec *spec);

#endif
