/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Network interfaces of this host, managed over netlink.
 *
 * Every function opens what it needs and is done when it returns: it may be
 * called from any thread, and acts in the network namespace of that thread.
 * All return 0 or a negative errno with @err set, except netdev_index(), whose
 * success is the index. The errno is the kernel's own wherever the kernel was
 * asked, and the text ends in the system's own words.
 */
#ifndef NET_NETDEV_H
#define NET_NETDEV_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"
#include "base/str.h"

int netdev_index(const char *name, struct err *err);
int netdev_check_new_name(const char *name, struct err *err);
int netdev_create_veth(const char *name, const char *peer, struct err *err);
int netdev_delete(const char *name, struct err *err);
int netdev_delete_index(int index, struct err *err);
int netdev_set_up(const char *name, bool up, struct err *err);
int netdev_set_mac(const char *name, const uint8_t mac[MAC_LEN], struct err *err);
int netdev_set_mtu(const char *name, uint32_t mtu, struct err *err);
int netdev_set_alias(const char *name, const char *alias, struct err *err);
int netdev_set_tx_checksum(const char *name, bool on, struct err *err);
int netdev_set_gro(const char *name, bool on, struct err *err);
int netdev_limit_segmentation(const char *name, struct err *err);

int netdev_add_address(const char *name, const char *text, struct err *err);
int netdev_isolate(const char *name, struct err *err);

/* Does not bring the interface up: that is netdev_set_up(). */
int netdev_add_port(const char *bridge, const char *name, struct err *err);

#define NETDEV_NAME_MAX 16
#define NETDEV_ALIAS_MAX 256

struct netdev_info {
	int index;
	int link;			/* index of a veth's other end, if that is here; or 0 */
	int master;			/* index of the bridge whose port it is, or 0 */
	uint32_t mtu;
	uint8_t mac[MAC_LEN];
	char name[NETDEV_NAME_MAX];
	char kind[NETDEV_NAME_MAX];	/* "veth", "tun"; may be empty */
	char alias[NETDEV_ALIAS_MAX];
};

typedef void netdev_visitor(const struct netdev_info *info, void *data);

int netdev_get_info(const char *name, struct netdev_info *info, struct err *err);
int netdev_get_info_index(int index, struct netdev_info *info, struct err *err);
int netdev_for_each(netdev_visitor *visitor, void *data, struct err *err);

/* How an interface is to look in the namespace it is moved to. */
struct netdev_placement {
	const char *name;		/* its name there */
	const uint8_t *mac;		/* MAC_LEN bytes; NULL: as it is */
	uint32_t mtu;			/* 0: as it is */
	bool up;			/* bring it up in the same request */
};

int netdev_move_to_pid(const char *name, pid_t pid, const struct netdev_placement *placement,
		       struct err *err);
int netdev_move_to_fd(const char *name, int netns_fd, const struct netdev_placement *placement,
		      struct err *err);

#endif
