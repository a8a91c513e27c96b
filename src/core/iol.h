/* SPDX-License-Identifier: GPL-3.0-or-later */
/* IOL bridges: an IOL id of their own, and a UDP tunnel for each port of the
 * instances on the other side.
 *
 * Control thread only.
 */
#ifndef CORE_IOL_H
#define CORE_IOL_H

#include <stdbool.h>
#include <stdint.h>

#include "core/link.h"
#include "nio/unix_socket.h"

#define IOL_ID_MAX 65535
#define IOL_BAYS 16
#define IOL_UNITS 16
#define IOL_PORTS (IOL_BAYS * IOL_UNITS)

/* The number of a port in the header. */
static inline uint8_t iol_port_number(unsigned bay, unsigned unit)
{
	return (uint8_t)(bay + IOL_BAYS * unit);
}

struct iol_bridge {
	struct iol_bridge *next;
	char *name;
	unsigned id;
	int lock_fd;
	char lock_path[sizeof(((struct sockaddr_un *)0)->sun_path)];
	struct unix_socket socket;
	struct worker *worker;		/* NULL while it is stopped */
	struct loop_source source;
	struct link *port[IOL_PORTS];	/* NULL, or perhaps without a NIO yet */
};

struct iol_bridge *iol_first(void);
struct iol_bridge *iol_find(const char *name);
struct iol_bridge *iol_create(const char *name, unsigned id, struct err *err);
void iol_delete(struct iol_bridge *bridge);
void iol_delete_all(void);
int iol_rename(struct iol_bridge *bridge, const char *name, struct err *err);
int iol_start(struct iol_bridge *bridge, struct err *err);
void iol_stop(struct iol_bridge *bridge);

bool iol_port_has_nio(const struct iol_bridge *bridge, unsigned port);
unsigned iol_port_count(const struct iol_bridge *bridge);
int iol_port_set_nio(struct iol_bridge *bridge, unsigned port, unsigned iol_id,
		     struct nio *nio, struct err *err);
void iol_port_delete_nio(struct iol_bridge *bridge, unsigned port);
struct link *iol_port_link(struct iol_bridge *bridge, unsigned port, struct err *err);

#endif
