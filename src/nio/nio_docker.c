/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <config.h>

#include "nio/nio_docker.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"

struct nio_docker {
	struct nio nio;
	struct nio *inner;		/* the device; NULL: there is none */
	struct nio_docker_owner *owner;
};

static struct nio_docker *to_docker(const struct nio *nio)
{
	return container_of(nio, struct nio_docker, nio);
}

/* What the pump wants to know of the device it sees of the NIO. */
static void mirror(struct nio_docker *self)
{
	self->nio.fd = self->inner ? self->inner->fd : -1;
	self->nio.takes_gso = self->inner && self->inner->takes_gso;
	self->nio.untagged_gso = self->inner && self->inner->untagged_gso;
	self->nio.patient = self->inner && self->inner->patient;
}

/* What its device has counted is the NIO's. */
static void take_errors(struct nio *nio, struct nio_counters *from)
{
	nio->counters.errors += from->errors;
	from->errors = 0;
	nio_note_error(nio, FRAME_KEEP, from->last_error);
}

static int docker_recv(struct nio *nio, struct batch *batch)
{
	struct nio_docker *self = to_docker(nio);
	int result = self->inner->ops->recv(self->inner, batch);

	if (self->inner->counters.errors)
		take_errors(nio, &self->inner->counters);
	mirror(self);
	if (result < 0)
		self->owner->lost(self->owner);
	return result;
}

static void docker_send(struct nio *nio, struct batch *batch)
{
	struct nio *inner = to_docker(nio)->inner;

	inner->ops->send(inner, batch);
}

static struct nio *docker_swap(struct nio *nio, struct nio *device)
{
	struct nio_docker *self = to_docker(nio);
	struct nio *old = self->inner;

	self->inner = device;
	nio->gone = !device;
	nio->gone_error = ENODEV;
	mirror(self);
	return old;
}

static const char *docker_state(const struct nio *nio)
{
	const struct nio_docker_owner *owner = to_docker(nio)->owner;

	return owner->state(owner);
}

static void docker_close(struct nio *nio)
{
	struct nio_docker *self = to_docker(nio);

	nio_close_later(self->inner);
	self->owner->closed(self->owner);
	free(self);
}

static const struct nio_ops docker_ops = {
	.kind = "docker",
	.recv = docker_recv,
	.send = docker_send,
	.swap = docker_swap,
	.state = docker_state,
	.close = docker_close,
};

/* nio_docker_new() - a NIO without a device
 * @desc: how to call it, "CONTAINER:INTERFACE"
 * @owner: must outlive it
 *
 * Return: the NIO, or NULL with @err set.
 */
struct nio *nio_docker_new(const char *desc, struct nio_docker_owner *owner, struct err *err)
{
	struct nio_docker *self = calloc(1, sizeof(*self));

	if (!self || !(self->nio.desc = strdup(desc))) {
		free(self);
		err_sys(err, ENOMEM, "docker %s", desc);
		return NULL;
	}
	self->nio.ops = &docker_ops;
	self->owner = owner;
	docker_swap(&self->nio, NULL);
	return &self->nio;
}

/* nio_is_docker() - whether a NIO was made by nio_docker_new() */
bool nio_is_docker(const struct nio *nio)
{
	return nio->ops == &docker_ops;
}

/* nio_docker_owner() - who plugs a Docker NIO */
struct nio_docker_owner *nio_docker_owner(const struct nio *nio)
{
	return to_docker(nio)->owner;
}
