/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Bridges: named links, each added NIO by NIO.
 *
 * Control thread only. Names are unique; the newest bridge comes first.
 */
#ifndef CORE_BRIDGE_H
#define CORE_BRIDGE_H

#include <stdbool.h>

#include "core/link.h"

struct bridge {
	struct bridge *next;
	struct link link;
};

struct bridge *bridge_first(void);
struct bridge *bridge_find(const char *name);
struct bridge *bridge_create(const char *name, struct err *err);
void bridge_delete(struct bridge *bridge);
void bridge_delete_all(void);

unsigned bridge_nio_count(const struct bridge *bridge);
bool bridge_is_running(const struct bridge *bridge);
bool bridge_add_nio(struct bridge *bridge, struct nio *nio);
struct bridge *bridge_of_nio(uint64_t serial, enum side *side);
struct bridge *bridge_of_interface(const char *name);
void bridge_remove_nio(struct bridge *bridge, enum side side);
void bridge_before_move(const char *interface);
int bridge_start(struct bridge *bridge, struct err *err);
void bridge_stop(struct bridge *bridge);

#endif
