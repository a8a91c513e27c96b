/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <config.h>

#include "core/bridge.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "nio/closing.h"

static struct bridge *bridges;

static const struct link_words bridge_words = {
	.received = { "on bridge", "on bridge" },
	.received_end = { " (source NIO)", " (destination NIO)" },
	.dropped = "bridge",
};

/* bridge_first() - the newest bridge; the others follow along next */
struct bridge *bridge_first(void)
{
	return bridges;
}

/* bridge_find() - the bridge of that name, or NULL */
struct bridge *bridge_find(const char *name)
{
	struct bridge *bridge = bridges;

	while (bridge && strcmp(bridge->link.name, name) != 0)
		bridge = bridge->next;
	return bridge;
}

/* bridge_create() - a bridge without NIOs; its name must be free
 *
 * Return: NULL with @err set when there is no memory.
 */
struct bridge *bridge_create(const char *name, struct err *err)
{
	struct bridge *bridge = malloc(sizeof(*bridge));

	if (!bridge) {
		err_sys(err, ENOMEM, "bridge '%s'", name);
		return NULL;
	}
	if (link_init(&bridge->link, name, &bridge_words, err) < 0) {
		free(bridge);
		return NULL;
	}
	bridge->next = bridges;
	bridges = bridge;
	return bridge;
}

/* Everything of the bridge but what closing_wait() completes. */
static void dismantle(struct bridge *bridge)
{
	struct bridge **place = &bridges;

	while (*place != bridge)
		place = &(*place)->next;
	*place = bridge->next;
	bridge_stop(bridge);
	link_fini(&bridge->link);
	free(bridge);
}

/* bridge_delete() - stop a bridge, release all that it holds, and free it */
void bridge_delete(struct bridge *bridge)
{
	dismantle(bridge);
	closing_wait();
}

void bridge_delete_all(void)
{
	while (bridges)
		dismantle(bridges);
	closing_wait();
}

/* bridge_nio_count() - 0, 1 or 2 */
unsigned bridge_nio_count(const struct bridge *bridge)
{
	return !!bridge->link.nio[SIDE_SOURCE] + !!bridge->link.nio[SIDE_DESTINATION];
}

bool bridge_is_running(const struct bridge *bridge)
{
	return bridge->link.worker != NULL;
}

/* bridge_add_nio() - put a NIO in the first free place, the source before the destination
 *
 * Return: false when there is no free place; the NIO is then still the caller's.
 */
bool bridge_add_nio(struct bridge *bridge, struct nio *nio)
{
	static uint64_t last_serial;

	for (enum side side = 0; side < SIDE_COUNT; side++) {
		if (!bridge->link.nio[side]) {
			bridge->link.nio[side] = nio;
			nio->serial = ++last_serial;
			return true;
		}
	}
	return false;
}

/* bridge_of_nio() - the bridge that a NIO, known by its serial, is in, or NULL */
struct bridge *bridge_of_nio(uint64_t serial, enum side *side)
{
	for (struct bridge *bridge = bridges; bridge; bridge = bridge->next) {
		for (*side = 0; *side < SIDE_COUNT; (*side)++) {
			struct nio *nio = bridge->link.nio[*side];

			if (nio && nio->serial == serial)
				return bridge;
		}
	}
	return NULL;
}

/* bridge_of_interface() - a bridge with a NIO that is called like an interface, or NULL */
struct bridge *bridge_of_interface(const char *name)
{
	for (struct bridge *bridge = bridges; bridge; bridge = bridge->next) {
		for (enum side side = 0; side < SIDE_COUNT; side++) {
			const struct nio *nio = bridge->link.nio[side];

			if (nio && !strcmp(nio->desc, name))
				return bridge;
		}
	}
	return NULL;
}

/* bridge_remove_nio() - close the NIO on a side; the bridge is stopped, if it runs */
void bridge_remove_nio(struct bridge *bridge, enum side side)
{
	struct nio *nio = bridge->link.nio[side];

	bridge_stop(bridge);
	bridge->link.nio[side] = NULL;
	nio_close(nio);
}

/* bridge_before_move() - an interface, perhaps a NIO's, is about to go to another namespace,
 * or to become a port of a Linux bridge
 */
void bridge_before_move(const char *interface)
{
	for (struct bridge *bridge = bridges; bridge; bridge = bridge->next) {
		for (enum side side = 0; side < SIDE_COUNT; side++) {
			struct nio *nio = bridge->link.nio[side];

			if (nio && !strcmp(nio->desc, interface))
				link_before_move(&bridge->link, side);
		}
	}
}

/* bridge_start() - let frames pass; the bridge has two NIOs and does not run yet */
int bridge_start(struct bridge *bridge, struct err *err)
{
	struct worker *worker = worker_acquire(err);

	if (!worker)
		return -err->code;
	if (link_start(&bridge->link, worker, err) < 0) {
		worker_release(worker);
		return -err->code;
	}
	log_info("Source NIO listener thread for %s has started", bridge->link.name);
	log_info("Destination NIO listener thread for %s has started", bridge->link.name);
	return 0;
}

/* bridge_stop() - nothing passes any more; a stopped bridge is fine */
void bridge_stop(struct bridge *bridge)
{
	struct worker *worker = bridge->link.worker;

	link_stop(&bridge->link);
	if (worker)
		worker_release(worker);
}
