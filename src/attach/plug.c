/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Theory of operation
 *
 * The engine names a container's first process by its number, and a number may be
 * another process's by the time it is used. So a plug goes like this:
 *
 *	inspect		the container runs as process P
 *	open		a pidfd of P, and P's network namespace
 *	inspect		still the same run, as P: so both belong to the container
 *	move		the interface, into the open namespace
 *	look		P has not ended: had it, the plug would be undone
 *
 * The namespace of another user's process may only be opened with CAP_SYS_PTRACE.
 * Without that right the interface is moved by P's number. That is as good: as long
 * as the pidfd says that P lives, its number belongs to no other process.
 *
 * The interface shows up in the container complete: named, addressed and up in the
 * request that moves it.
 */
#include <config.h>

#include "attach/plug.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "base/rng.h"
#include "net/netns.h"
#include "nio/closing.h"

/* How many names are tried where one of our own making is taken. */
#define NAME_ATTEMPTS 8

/* How often a container is looked at that stops or starts while one looks. */
#define RUN_ATTEMPTS 3

/* Where to: both are of the same process. */
struct target {
	int pidfd;
	int netns_fd;			/* -1: may not be opened */
	pid_t pid;
};

/* plug_open_process() - a pidfd, closed on exec; -ESRCH: there is no such process */
int plug_open_process(pid_t pid, struct err *err)
{
	int pidfd = (int)syscall(SYS_pidfd_open, pid, 0);

	return pidfd < 0 ? err_sys(err, errno, "process %d", (int)pid) : pidfd;
}

/* plug_run_is_over() - whether the process of a pidfd has ended */
bool plug_run_is_over(int pidfd)
{
	struct pollfd end = { .fd = pidfd, .events = POLLIN };

	return poll(&end, 1, 0) > 0;
}

static bool same_run(const struct plug_run *run, const struct engine_container *container)
{
	return container->pid == run->pid && !strcmp(container->id, run->id) &&
	       !strcmp(container->started_at, run->started_at);
}

/* plug_run_of() - the present run of a container */
void plug_run_of(struct plug_run *run, const struct engine_container *container)
{
	snprintf(run->id, sizeof(run->id), "%s", container->id);
	snprintf(run->name, sizeof(run->name), "%s", container->name);
	snprintf(run->started_at, sizeof(run->started_at), "%s", container->started_at);
	run->pid = container->pid;
}

/* plug_is_pair() - whether an interface is an end of the client's pair that @spec is about */
bool plug_is_pair(const struct plug_spec *spec, const char *interface)
{
	return spec->backend == PLUG_PAIR &&
	       (!strcmp(spec->host_if, interface) || !strcmp(spec->guest_if, interface));
}

/* plug_note_port() - an interface has become a port of a Linux bridge: if it is the host's end
 * of the client's pair that @spec is about, it will be one again
 */
void plug_note_port(struct plug_spec *spec, const char *bridge, const char *interface)
{
	if (spec->backend == PLUG_PAIR && !strcmp(spec->host_if, interface))
		snprintf(spec->host_master, sizeof(spec->host_master), "%s", bridge);
}

/* ---- finding the way in */

static int check_network(const struct engine_container *container, struct err *err)
{
	switch (container->network) {
	case ENGINE_NET_OWN:
		return 0;
	case ENGINE_NET_HOST:
		return err_set(err, EOPNOTSUPP, "container %s uses the host's network",
			       container->name);
	case ENGINE_NET_SHARED:
		break;
	}
	return err_set(err, EOPNOTSUPP, "container %s has no network of its own (%s)",
		       container->name, container->network_mode);
}

static int open_target(struct target *target, pid_t pid, struct err *err)
{
	AUTO_CLOSE int here = -1;
	struct err ignored;

	target->pid = pid;
	target->pidfd = plug_open_process(pid, err);
	if (target->pidfd < 0)
		return -err->code;
	target->netns_fd = netns_open_pid(pid, &ignored);
	here = netns_open_self(&ignored);
	if (target->netns_fd >= 0 && here >= 0 && netns_same(target->netns_fd, here))
		return err_set(err, EOPNOTSUPP, "process %d is in the network namespace of ubridge",
			       (int)pid);
	return 0;
}

/* 0 with @target verified; PLUG_NOT_RUNNING; or an error */
static int verify_target(struct engine *engine, const struct engine_container *first,
			 struct target *target, struct err *err)
{
	struct engine_container second;
	struct plug_run run;
	int result = open_target(target, first->pid, err);

	if (result < 0 && result != -ESRCH)
		return result;
	if (engine_inspect(engine, first->id, &second, err) < 0)
		return -err->code;
	plug_run_of(&run, first);
	if (!same_run(&run, &second))
		return PLUG_NOT_RUNNING;
	if (result < 0)
		return err_set(err, ESRCH,
			       "process %d of the engine is not in this PID namespace",
			       (int)first->pid);
	return plug_run_is_over(target->pidfd) ? PLUG_NOT_RUNNING : 0;
}

/* ---- making the interface */

static void random_name(char name[NETDEV_NAME_MAX])
{
	snprintf(name, NETDEV_NAME_MAX, "ub%08x", (unsigned)rng_fresh());
}

static int make_tap(char name[NETDEV_NAME_MAX], struct plug *plug, struct err *err)
{
	struct err ignored;

	/* it must be new: a device that is there would be used in place */
	for (int i = 0; i < NAME_ATTEMPTS; i++) {
		random_name(name);
		if (netdev_index(name, &ignored) == -ENODEV)
			break;
	}
	plug->device = nio_tap_open(name, err);
	if (!plug->device)
		return -err->code;
	plug->device->ops->before_move(plug->device);
	return 0;
}

static bool is_there(const struct plug_end *end)
{
	struct netdev_info info;
	struct err ignored;

	if (!end->index || netdev_get_info_index(end->index, &info, &ignored) < 0)
		return false;
	return !strcmp(info.name, end->name) ||
	       (*end->alias && !strcmp(info.alias, end->alias));
}

/* A pair of an earlier run may be in the way, which the kernel removes in its own time, or
 * one that has been ours; another's is not ours to touch.
 */
static void delete_former(const struct plug_request *request)
{
	const struct plug_spec *spec = request->spec;
	struct netdev_info info;
	struct err ignored;

	if (is_there(request->former))
		netdev_delete_index(request->former->index, &ignored);
	if (*spec->alias && !netdev_get_info(spec->host_if, &info, &ignored) &&
	    !strcmp(info.alias, spec->alias))
		netdev_delete_index(info.index, &ignored);
}

static int create_pair(const struct plug_spec *spec, char name[NETDEV_NAME_MAX], struct err *err)
{
	int result = -EEXIST;

	strcpy(name, spec->guest_if);
	for (int i = 0; result == -EEXIST && i < (*spec->guest_if ? 1 : NAME_ATTEMPTS); i++) {
		if (!*spec->guest_if)
			random_name(name);
		result = netdev_create_veth(spec->host_if, name, err);
	}
	return result;
}

/* As the client's pair was when it was adopted. Rather an interface whose bridge has gone than
 * none.
 */
static int restore_host_end(const struct plug_spec *spec, struct err *err)
{
	if (spec->host_mtu && netdev_set_mtu(spec->host_if, spec->host_mtu, err) < 0)
		return -err->code;
	if (*spec->host_master && netdev_add_port(spec->host_master, spec->host_if, err) < 0)
		log_error("docker: interface '%s' is not a port of '%s' again: %s",
			  spec->host_if, spec->host_master, err->text);
	return 0;
}

/* For the client's own pair the same as `docker create_veth` does, and what it did then. */
static int prepare_client_pair(const struct plug_spec *spec, const char *guest, struct err *err)
{
	struct err ignored;

	netdev_set_tx_checksum(guest, false, &ignored);
	if (nio_offload)
		netdev_set_gro(spec->host_if, true, &ignored);
	if (restore_host_end(spec, err) < 0)
		return -err->code;
	return netdev_set_up(spec->host_if, true, err);
}

static int prepare_own_pair(const struct plug_spec *spec, const char *guest, struct plug *plug,
			    struct err *err)
{
	struct err ignored;

	netdev_limit_segmentation(guest, &ignored);
	if (netdev_set_alias(spec->host_if, spec->alias, err) < 0 ||
	    (spec->mtu && netdev_set_mtu(spec->host_if, spec->mtu, err) < 0))
		return -err->code;
	/* a socket on an interface that is not up yet would begin with an error */
	if (netdev_isolate(spec->host_if, err) < 0)
		return -err->code;
	plug->device = nio_raw_open(spec->host_if, err);
	return plug->device ? 0 : -err->code;
}

static int make_pair(const struct plug_request *request, char name[NETDEV_NAME_MAX],
		     struct plug *plug, struct err *err)
{
	const struct plug_spec *spec = request->spec;
	int index;

	delete_former(request);
	if (create_pair(spec, name, err) < 0)
		return -err->code;
	index = netdev_index(spec->host_if, err);
	if (index < 0)
		return index;
	plug->host.index = index;
	strcpy(plug->host.name, spec->host_if);
	strcpy(plug->host.alias, spec->alias);
	if (spec->backend == PLUG_PAIR)
		return prepare_client_pair(spec, name, err);
	return prepare_own_pair(spec, name, plug, err);
}

/* ---- moving it */

static int add_addresses(void *arg, struct err *err)
{
	const struct plug_request *request = arg;
	const struct plug_spec *spec = request->spec;
	int result = 0;

	for (unsigned i = 0; !result && i < spec->address_count; i++)
		result = netdev_add_address(spec->interface, spec->address[i], err);
	return result;
}

static int configure(const struct target *target, struct plug_request request, struct err *err)
{
	if (!request.spec->address_count)
		return 0;
	if (target->netns_fd < 0)
		return err_set(err, EPERM, "ip=: the container's network namespace may not be "
			       "entered (CAP_SYS_ADMIN, CAP_SYS_PTRACE)");
	if (netns_run(target->netns_fd, add_addresses, &request, err) < 0)
		return err_wrap(err, "ip=");
	return 0;
}

static int move(const char *name, const struct target *target, const struct plug_spec *spec,
		struct err *err)
{
	const struct netdev_placement placement = {
		.name = spec->interface,
		.mac = spec->mac,
		.mtu = spec->mtu,
		.up = spec->up,
	};
	int result;

	if (target->netns_fd >= 0)
		result = netdev_move_to_fd(name, target->netns_fd, &placement, err);
	else
		result = netdev_move_to_pid(name, target->pid, &placement, err);
	if (result == -EEXIST)
		err_set(err, EEXIST, "the container has an interface '%s' already", spec->interface);
	return result;
}

static int make_and_move(const struct target *target, const struct plug_request *request,
			 struct plug *plug, struct err *err)
{
	const struct plug_spec *spec = request->spec;
	char name[NETDEV_NAME_MAX];
	int result;

	if (spec->backend == PLUG_TAP)
		result = make_tap(name, plug, err);
	else
		result = make_pair(request, name, plug, err);
	if (!result)
		result = move(name, target, spec, err);
	if (!result)
		result = configure(target, *request, err);
	/* the container is there: it is something of this host that is not */
	if (result == -ENOENT) {
		err->code = ENODEV;
		return -ENODEV;
	}
	return result;
}

/* Puts it into a container that has just been seen running. */
static int plug_into(struct engine *engine, const struct engine_container *container,
		     const struct plug_request *request, struct plug *plug, struct err *err)
{
	struct target target = { .pidfd = -1, .netns_fd = -1 };
	int result = check_network(container, err);

	if (!result)
		result = verify_target(engine, container, &target, err);
	if (!result)
		result = make_and_move(&target, request, plug, err);
	if (result >= 0 && target.pidfd >= 0 && plug_run_is_over(target.pidfd))
		result = PLUG_NOT_RUNNING;
	cleanup_close(&target.netns_fd);
	plug->pidfd = target.pidfd;
	plug_run_of(&plug->run, container);
	if (result)
		plug_out(plug);
	return result;
}

static int try_to_plug_in(struct engine *engine, const struct plug_request *request,
			  struct plug *plug, struct err *err)
{
	const struct plug_run *known = request->known;
	struct engine_container container;
	int result = engine_inspect(engine, request->reference, &container, err);

	*plug = (struct plug){ .pidfd = -1 };
	if (result < 0)
		return known && result == -ENOENT ? PLUG_UNCHANGED : result;
	if (known && (!container.pid || same_run(known, &container)))
		return PLUG_UNCHANGED;
	plug_run_of(&plug->run, &container);
	if (container.pid)
		return plug_into(engine, &container, request, plug, err);
	result = check_network(&container, err);
	return result ? result : PLUG_NOT_RUNNING;
}

/* plug_in() - find a container and put an interface into it, if it runs
 * @plug: filled in when it is done; else at the most the run says which container it is
 *
 * Return: an enum plug_result, or a negative errno with @err set: one of the engine's,
 * see engine.h, or: -EOPNOTSUPP: the container has no network of its own; -ESRCH: its
 * process is none of ours, or has just ended and the engine does not know yet; -EEXIST:
 * the name of the interface is taken there; others of the kernel. -ENOENT is about the
 * container in any case.
 */
int plug_in(struct engine *engine, const struct plug_request *request, struct plug *plug,
	    struct err *err)
{
	int result = PLUG_NOT_RUNNING;

	/* one that was running when it was asked for first may run anew now */
	for (int i = 0; i < RUN_ATTEMPTS; i++) {
		result = try_to_plug_in(engine, request, plug, err);
		if (result != PLUG_NOT_RUNNING || !plug->run.pid)
			break;
	}
	return result;
}

/* plug_out() - take away what was put in; nothing is fine */
void plug_out(struct plug *plug)
{
	struct err ignored;

	nio_close(plug->device);
	plug->device = NULL;
	if (is_there(&plug->host))
		netdev_delete_index(plug->host.index, &ignored);
	plug->host.index = 0;
	cleanup_close(&plug->pidfd);
	plug->pidfd = -1;
}

static void delete_interface(int index)
{
	struct err ignored;

	netdev_delete_index(index, &ignored);
}

/* plug_out_later() - the same, done when the caller's next closing_wait() returns */
void plug_out_later(struct plug *plug)
{
	nio_close_later(plug->device);
	plug->device = NULL;
	if (is_there(&plug->host))
		closing_call(delete_interface, plug->host.index);
	plug->host.index = 0;
	cleanup_close(&plug->pidfd);
	plug->pidfd = -1;
}
