/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Theory of operation
 *
 * Each port is a link: its source is the IOL side, its destination a UDP tunnel.
 * All links of a bridge run on one worker. From UDP to IOL they are like any
 * other link. What comes from IOL arrives at the bridge's one socket: the bridge
 * receives a batch there and hands each run of datagrams for the same port to
 * that port's pump.
 *
 * A port exists from the first command that names it; without a NIO it only
 * keeps filters and a capture.
 *
 * While the bridge runs, the worker reads the table of ports, so entries are
 * changed on the worker.
 */
#include <config.h>

#include "core/iol.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "core/iol_lock.h"
#include "nio/nio_iol.h"

static struct iol_bridge *bridges;

static const struct link_words port_words = {
	.received = { "from IOL instance on IOL bridge", "from destination NIO on IOL bridge" },
	.received_end = { "", "" },
	.dropped = "IOL bridge",
	.extra = { sizeof(struct iol_header), 0 },
};

/* ---- the way from IOL, on the worker */

static void count_empty(struct iol_bridge *bridge, const struct batch *batch)
{
	uint8_t port;

	for (unsigned i = 0; i < batch->count; i++) {
		if (iol_is_empty(&batch->frame[i], &port) && iol_port_has_nio(bridge, port))
			bridge->port[port]->nio[SIDE_SOURCE]->counters.drop[DROP_RUNT]++;
	}
}

static void receive(struct loop_source *source, uint32_t events)
{
	struct iol_bridge *bridge = container_of(source, struct iol_bridge, source);
	struct batch *batch = &bridge->worker->received;
	struct batch run;
	uint8_t port;

	(void)events;
	batch_clear(batch);
	unix_socket_recv(bridge->socket.fd, batch);
	count_empty(bridge, batch);
	for (unsigned next = 0; iol_next_run(batch, &next, &run, &port);) {
		if (iol_port_has_nio(bridge, port))
			pump_forward(&bridge->port[port]->pump[SIDE_SOURCE], &run);
	}
}

/* ---- ports */

struct port_change {
	struct iol_bridge *bridge;
	unsigned port;
	struct link *link;
};

static void swap_port(void *arg)
{
	struct port_change *change = arg;
	struct link *old = change->bridge->port[change->port];

	change->bridge->port[change->port] = change->link;
	change->link = old;
}

/* Puts @link in the table; returns what was there. */
static struct link *exchange_port(struct iol_bridge *bridge, unsigned port, struct link *link)
{
	struct port_change change = { .bridge = bridge, .port = port, .link = link };

	if (bridge->worker)
		loop_call(&bridge->worker->loop, swap_port, &change);
	else
		swap_port(&change);
	return change.link;
}

static void free_port(struct link *link)
{
	if (!link)
		return;
	link_fini(link);
	free(link);
}

bool iol_port_has_nio(const struct iol_bridge *bridge, unsigned port)
{
	return bridge->port[port] && bridge->port[port]->nio[SIDE_DESTINATION];
}

/* iol_port_count() - how many ports have a NIO */
unsigned iol_port_count(const struct iol_bridge *bridge)
{
	unsigned count = 0;

	for (unsigned port = 0; port < IOL_PORTS; port++)
		count += iol_port_has_nio(bridge, port);
	return count;
}

/* iol_port_link() - the link of a port, for filters and captures; made when there is none
 *
 * Return: NULL with @err set when there is no memory.
 */
struct link *iol_port_link(struct iol_bridge *bridge, unsigned port, struct err *err)
{
	struct link *link = bridge->port[port];

	if (link)
		return link;
	link = malloc(sizeof(*link));
	if (!link) {
		err_sys(err, ENOMEM, "port");
		return NULL;
	}
	if (link_init(link, bridge->name, &port_words, err) < 0) {
		free(link);
		return NULL;
	}
	exchange_port(bridge, port, link);
	return link;
}

/* iol_port_delete_nio() - the port has neither NIO nor filters nor capture any more */
void iol_port_delete_nio(struct iol_bridge *bridge, unsigned port)
{
	free_port(exchange_port(bridge, port, NULL));
}

/* iol_port_set_nio() - connect a port of IOL instance @iol_id to @nio, which becomes the bridge's
 *
 * A NIO that the port had is replaced, and its filters and capture end with it.
 * On a running bridge traffic flows at once. Return: 0, or a negative errno with
 * @err set; @nio is then still the caller's.
 */
int iol_port_set_nio(struct iol_bridge *bridge, unsigned port, unsigned iol_id,
		     struct nio *nio, struct err *err)
{
	struct nio *instance;
	struct link *link;

	instance = nio_iol_open(bridge->socket.fd, bridge->id, iol_id, (uint8_t)port, err);
	if (!instance)
		return -err->code;
	if (iol_port_has_nio(bridge, port))
		iol_port_delete_nio(bridge, port);
	link = iol_port_link(bridge, port, err);
	if (!link) {
		nio_close(instance);
		return -err->code;
	}
	/* it gets its NIOs while the worker does not see it */
	exchange_port(bridge, port, NULL);
	link->nio[SIDE_SOURCE] = instance;
	link->nio[SIDE_DESTINATION] = nio;
	if (bridge->worker && link_start(link, bridge->worker, err) < 0) {
		link->nio[SIDE_DESTINATION] = NULL;
		free_port(link);
		return -err->code;
	}
	exchange_port(bridge, port, link);
	return 0;
}

/* ---- bridges */

struct iol_bridge *iol_first(void)
{
	return bridges;
}

/* iol_find() - the IOL bridge of that name, or NULL */
struct iol_bridge *iol_find(const char *name)
{
	struct iol_bridge *bridge = bridges;

	while (bridge && strcmp(bridge->name, name) != 0)
		bridge = bridge->next;
	return bridge;
}

static int check_id(unsigned id, struct err *err)
{
	for (const struct iol_bridge *other = bridges; other; other = other->next) {
		if (other->id == id)
			return err_set(err, EBUSY, "PID %d already has a lock on ID %u", getpid(), id);
	}
	return 0;
}

static void unlock(struct iol_bridge *bridge)
{
	unlink(bridge->lock_path);
	close(bridge->lock_fd);
}

static int claim(struct iol_bridge *bridge, struct err *err)
{
	char path[sizeof(bridge->lock_path)];

	if (check_id(bridge->id, err) < 0)
		return -err->code;
	bridge->lock_fd = iol_lock(bridge->id, bridge->lock_path, sizeof(bridge->lock_path), err);
	if (bridge->lock_fd < 0)
		return -err->code;
	if (iol_socket_path(path, sizeof(path), bridge->id, "") < 0 ||
	    unix_socket_open(&bridge->socket, path, err) < 0) {
		unlock(bridge);
		return err_set(err, EADDRINUSE, "cannot create UNIX domain socket");
	}
	return 0;
}

/* iol_create() - a stopped IOL bridge that holds IOL id @id; its name must be free
 *
 * Return: NULL with @err set when the id is taken.
 */
struct iol_bridge *iol_create(const char *name, unsigned id, struct err *err)
{
	AUTO_FREE struct iol_bridge *bridge = calloc(1, sizeof(*bridge));
	AUTO_FREE char *copy = strdup(name);
	struct iol_bridge *result;

	if (!bridge || !copy) { /* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): both are AUTO_FREE */
		err_sys(err, ENOMEM, "IOL bridge '%s'", name);
		return NULL;
	}
	bridge->id = id;
	if (claim(bridge, err) < 0)
		return NULL;
	bridge->source = (struct loop_source){ .fd = bridge->socket.fd, .ready = receive };
	bridge->name = copy;
	bridge->next = bridges;
	bridges = result = bridge;
	bridge = NULL;
	copy = NULL;
	return result;
}

/* iol_delete() - stop an IOL bridge, release its ports, its id and its files, and free it */
void iol_delete(struct iol_bridge *bridge)
{
	struct iol_bridge **place = &bridges;

	while (*place != bridge)
		place = &(*place)->next;
	*place = bridge->next;
	iol_stop(bridge);
	for (unsigned port = 0; port < IOL_PORTS; port++)
		free_port(bridge->port[port]);
	unix_socket_close(&bridge->socket);
	unlock(bridge);
	free(bridge->name);
	free(bridge);
}

void iol_delete_all(void)
{
	while (bridges)
		iol_delete(bridges);
}

/* iol_rename() - also while it runs */
int iol_rename(struct iol_bridge *bridge, const char *name, struct err *err)
{
	char *copy = strdup(name);

	if (!copy)
		return err_sys(err, ENOMEM, "IOL bridge '%s'", name);
	for (unsigned port = 0; port < IOL_PORTS; port++) {
		if (bridge->port[port] && link_rename(bridge->port[port], name, err) < 0) {
			free(copy);
			return -err->code;
		}
	}
	free(bridge->name);
	bridge->name = copy;
	return 0;
}

struct start {
	struct iol_bridge *bridge;
	struct err *err;
	int result;
};

static void start_receiving(void *arg)
{
	struct start *start = arg;
	struct iol_bridge *bridge = start->bridge;

	start->result = loop_add(&bridge->worker->loop, &bridge->source, EPOLLIN, start->err);
}

static void stop_receiving(void *arg)
{
	struct iol_bridge *bridge = arg;

	loop_remove(&bridge->worker->loop, &bridge->source);
}

static int start_ports(struct iol_bridge *bridge, struct err *err)
{
	for (unsigned port = 0; port < IOL_PORTS; port++) {
		if (iol_port_has_nio(bridge, port) &&
		    link_start(bridge->port[port], bridge->worker, err) < 0)
			return -err->code;
	}
	return 0;
}

/* iol_start() - let frames pass; no port is needed yet
 *
 * Return: 0, or a negative errno with @err set and the bridge stopped.
 */
int iol_start(struct iol_bridge *bridge, struct err *err)
{
	struct start start = { .bridge = bridge, .err = err };

	bridge->worker = worker_acquire(err);
	if (!bridge->worker)
		return -err->code;
	/* what is received goes to the ports at once, so they come first */
	start.result = start_ports(bridge, err);
	if (!start.result)
		loop_call(&bridge->worker->loop, start_receiving, &start);
	if (start.result < 0)
		iol_stop(bridge);
	return start.result;
}

/* iol_stop() - nothing passes any more; a stopped bridge is fine */
void iol_stop(struct iol_bridge *bridge)
{
	if (!bridge->worker)
		return;
	loop_call(&bridge->worker->loop, stop_receiving, bridge);
	for (unsigned port = 0; port < IOL_PORTS; port++) {
		if (bridge->port[port])
			link_stop(bridge->port[port]);
	}
	worker_release(bridge->worker);
	bridge->worker = NULL;
}
