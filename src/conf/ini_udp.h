/* SPDX-License-Identifier: GPL-3.0-or-later */
/* UDP tunnels in a configuration file: how they are written, and the names of their hosts. */
#ifndef CONF_INI_UDP_H
#define CONF_INI_UDP_H

#include "conf/ini_file.h"
#include "nio/nio_udp.h"

/* What the host of a UDP endpoint was resolved to. */
struct ini_host {
	struct addrinfo *addresses;	/* NULL: no UDP endpoint, or see err */
	struct err err;
};

int ini_udp_parse(char *value, struct udp_spec *spec, struct err *err);

bool ini_hosts_take_time(const struct ini_section *section);
void ini_hosts_resolve(struct ini_host hosts[INI_SIDE_COUNT], const struct ini_section *section);
void ini_hosts_free(struct ini_host hosts[INI_SIDE_COUNT]);

#endif
