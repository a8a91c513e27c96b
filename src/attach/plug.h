/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Putting an interface into a running container, and taking it away again.
 *
 * Both block: on the engine, and on the kernel, which may be busy with the end of
 * other namespaces. They are for job threads.
 */
#ifndef ATTACH_PLUG_H
#define ATTACH_PLUG_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"
#include "docker/engine.h"
#include "net/netdev.h"
#include "nio/nio.h"

#define PLUG_ADDRESSES 16
#define PLUG_ADDRESS_MAX (INET6_ADDRSTRLEN + 4)

enum plug_backend {
	PLUG_TAP,			/* the container gets a TAP device */
	PLUG_VETH,			/* it gets an end of a veth pair, we read the other one */
	PLUG_PAIR,			/* likewise, but the pair is the client's: nobody reads */
};

/* What is to be put into a container. */
struct plug_spec {
	enum plug_backend backend;
	char interface[NETDEV_NAME_MAX];	/* its name in the container */
	char host_if[NETDEV_NAME_MAX];		/* the name of a pair's other end */
	char guest_if[NETDEV_NAME_MAX];		/* that of this end, before it is moved */
	char alias[NETDEV_ALIAS_MAX];		/* marks a pair as ours; empty for PLUG_PAIR */
	uint8_t mac[MAC_LEN];
	uint32_t mtu;				/* 0: what such a device has */
	bool up;				/* bring it up there */
	uint32_t host_mtu;			/* of a PLUG_PAIR's other end; 0: as made */
	char host_master[NETDEV_NAME_MAX];	/* whose port that is; empty: nobody's */
	unsigned address_count;
	char address[PLUG_ADDRESSES][PLUG_ADDRESS_MAX];	/* "ADDRESS/PREFIX" */
};

/* One run of a container: from a start to the end of its first process. */
struct plug_run {
	char id[ENGINE_ID_MAX];
	char name[ENGINE_NAME_MAX];
	char started_at[ENGINE_WORD_MAX];
	pid_t pid;
};

/* The host's end of a pair. Its number is not enough: when the pair is gone, another interface
 * may get that.
 */
struct plug_end {
	int index;			/* 0: there is none */
	char name[NETDEV_NAME_MAX];
	char alias[NETDEV_ALIAS_MAX];	/* empty for PLUG_PAIR */
};

/* What has been put in. All zero, but pidfd -1, is nothing. */
struct plug {
	struct plug_run run;
	int pidfd;			/* of the run's first process; readable when it has ended */
	struct nio *device;		/* what we read and write; NULL for PLUG_PAIR */
	struct plug_end host;		/* of a pair */
};

enum plug_result {
	PLUG_DONE,			/* it is in */
	PLUG_UNCHANGED,			/* the run that was known goes on */
	PLUG_NOT_RUNNING,		/* the container exists but does not run */
};

struct plug_request {
	const char *reference;		/* the container's name or id */
	const struct plug_spec *spec;
	const struct plug_run *known;	/* a run that has the interface and goes on, or NULL */
	const struct plug_end *former;	/* of an earlier run, which may still be there */
};

int plug_in(struct engine *engine, const struct plug_request *request, struct plug *plug,
	    struct err *err);
void plug_out(struct plug *plug);
void plug_out_later(struct plug *plug);
int plug_open_process(pid_t pid, struct err *err);
bool plug_run_is_over(int pidfd);
bool plug_is_pair(const struct plug_spec *spec, const char *interface);
void plug_note_port(struct plug_spec *spec, const char *bridge, const char *interface);
void plug_run_of(struct plug_run *run, const struct engine_container *container);

#endif
