/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <config.h>

#include "attach/replug.h"

#include <errno.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "attach/session.h"
#include "base/cleanup.h"
#include "base/log.h"

/* After a move: is the process a container's? */
struct search {
	struct search *next;
	struct session_job job;
	struct attach_adoption adoption;
	pid_t pid;
	struct err err;			/* code 0: it is */
	bool unwanted;			/* deleted by the client meanwhile */
};

bool replug_enabled = true;

static struct search *searches;		/* under way */

struct device_look {
	const struct nio *nio;
	const char *interface;
	bool is_device;
};

static void look_at_device(void *arg)
{
	struct device_look *look = arg;

	look->is_device = nio_tap_is_device(look->nio, look->interface);
}

/* Where the NIO may be looked at, since its worker may be about to take another file. */
static bool is_device(struct link *link, const struct nio *nio, const char *interface)
{
	struct device_look look = { .nio = nio, .interface = interface };

	if (nio && nio_is_tap(nio))
		link_do(link, look_at_device, &look);
	return look.is_device;
}

/* The TAP NIO that an interface is the device of. Names do not tell: GNS3 uses the same
 * one for all that it makes in a process.
 */
static uint64_t tap_serial(const char *interface)
{
	for (struct bridge *bridge = bridge_first(); bridge; bridge = bridge->next) {
		for (enum side side = 0; side < SIDE_COUNT; side++) {
			const struct nio *nio = bridge->link.nio[side];

			if (is_device(&bridge->link, nio, interface))
				return nio->serial;
		}
	}
	return 0;
}

/* The end of a pair that stays on the host */
static void look_at_host_end(struct attach_adoption *adoption, int index)
{
	struct plug_spec *spec = &adoption->spec;
	struct netdev_info info;
	struct err ignored;

	if (netdev_get_info_index(index, &info, &ignored) < 0)
		return;
	adoption->plug.host.index = index;
	strcpy(adoption->plug.host.name, info.name);
	strcpy(spec->host_if, info.name);
	spec->host_mtu = info.mtu;
	if (!info.master || !if_indextoname((unsigned)info.master, spec->host_master))
		*spec->host_master = '\0';
}

/* replug_look() - see what an interface is that is about to be moved away */
void replug_look(struct replug *replug, const char *interface)
{
	struct attach_adoption *adoption = &replug->adoption;
	struct plug_spec *spec = &adoption->spec;
	struct netdev_info info;
	struct err ignored;

	*replug = (struct replug){ .adoption.plug.pidfd = -1 };
	if (!replug_enabled || netdev_get_info(interface, &info, &ignored) < 0)
		return;
	memcpy(spec->mac, info.mac, sizeof(spec->mac));
	spec->mtu = info.mtu;
	adoption->nio_serial = tap_serial(interface);
	if (adoption->nio_serial) {
		spec->backend = PLUG_TAP;
		replug->possible = true;
	} else if (!strcmp(info.kind, "veth") && info.link) {
		spec->backend = PLUG_PAIR;
		snprintf(spec->guest_if, sizeof(spec->guest_if), "%s", interface);
		look_at_host_end(adoption, info.link);
		replug->possible = adoption->plug.host.index;
	}
}

static int find(struct search *search, struct engine *engine)
{
	struct plug *plug = &search->adoption.plug;
	struct engine_container container;

	/* open before the engine is asked: if it still names this number then, they belong together */
	plug->pidfd = plug_open_process(search->pid, &search->err);
	if (plug->pidfd < 0)
		return -search->err.code;
	if (engine_find_by_pid(engine, search->pid, &container, &search->err) < 0)
		return -search->err.code;
	if (container.network != ENGINE_NET_OWN)
		return err_set(&search->err, ENOENT, "no network of its own");
	plug_run_of(&plug->run, &container);
	return 0;
}

static void search_work(struct session_job *job, struct engine *engine)
{
	struct search *search = container_of(job, struct search, job);

	if (find(search, engine) == 0)
		search->err.code = 0;
}

/* That there is no engine, or that it does not know the process, is as good as can be. */
static void report(const struct err *err)
{
	static bool reported;

	if (reported || err->code == ENOENT || err->code == ESRCH || err->code == ENOTCONN ||
	    err->code == ECANCELED)
		return;
	reported = true;
	log_error("interfaces will not be brought back after a restart of their container: %s",
		  err->text);
}

static void unlink_search(struct search *search)
{
	struct search **place = &searches;

	while (*place != search)
		place = &(*place)->next;
	*place = search->next;
}

static bool is_wanted(const struct search *search)
{
	uint64_t serial = search->adoption.nio_serial;
	enum side side;

	return !search->unwanted && (!serial || bridge_of_nio(serial, &side));
}

static void search_done(struct session_job *job)
{
	struct search *search = container_of(job, struct search, job);
	struct plug *plug = &search->adoption.plug;

	unlink_search(search);
	if (job->err.code)
		search->err = job->err;
	if (!search->err.code && is_wanted(search) &&
	    attach_adopt(&search->adoption, &search->err) == 0)
		plug->pidfd = -1;
	if (search->err.code)
		report(&search->err);
	cleanup_close(&plug->pidfd);
	free(search);
}

/* replug_moved() - the interface is in the network namespace of a process now
 * @name: its name there
 *
 * What there is to be done is done later.
 */
void replug_moved(const struct replug *replug, pid_t pid, const char *name)
{
	struct search *search;

	if (!replug->possible || !(search = calloc(1, sizeof(*search))))
		return;
	search->job.work = search_work;
	search->job.done = search_done;
	search->adoption = replug->adoption;
	snprintf(search->adoption.spec.interface, NETDEV_NAME_MAX, "%s", name);
	search->pid = pid;
	search->next = searches;
	searches = search;
	session_run(&search->job);
}

/* replug_port_added() - the host's end of a pair, perhaps, is a port of a Linux bridge now */
void replug_port_added(const char *bridge, const char *interface)
{
	for (struct search *search = searches; search; search = search->next)
		plug_note_port(&search->adoption.spec, bridge, interface);
	attach_note_port(bridge, interface);
}

/* replug_forget_pair() - a pair, named by either end, is not to come back */
void replug_forget_pair(const char *interface)
{
	for (struct search *search = searches; search; search = search->next) {
		if (plug_is_pair(&search->adoption.spec, interface))
			search->unwanted = true;
	}
	attach_forget_pair(interface);
}

/* replug_forget_all() - nothing that clients have plugged is to come back */
void replug_forget_all(void)
{
	for (struct search *search = searches; search; search = search->next)
		search->unwanted = true;
	attach_forget_adopted();
}

/* replug_bridge_ends() - what a bridge was for is not to come back; before it is deleted */
void replug_bridge_ends(const struct bridge *bridge)
{
	for (enum side side = 0; side < SIDE_COUNT; side++) {
		const struct nio *nio = bridge->link.nio[side];

		if (!nio)
			continue;
		replug_forget_pair(nio->desc);
		attach_forget_tap(nio->serial);
	}
}
