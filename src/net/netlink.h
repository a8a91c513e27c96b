/* SPDX-License-Identifier: GPL-3.0-or-later */
/* One request to the kernel over netlink, and its answer.
 *
 * Every request of the program goes through here, for the sake of the errors:
 * the library folds errno values into fewer codes of its own, but callers, and
 * people who read the text, need the number that the kernel gave.
 */
#ifndef NET_NETLINK_H
#define NET_NETLINK_H

#include "base/err.h"

struct nl_msg;
struct nlmsghdr;

/* Looks at a message of the answer, which is gone when it returns. */
typedef void netlink_reader(struct nlmsghdr *reply, void *data);

int netlink_request(int protocol, struct nl_msg *request, const char *interface,
		    netlink_reader *reader, void *data, struct err *err);

#endif
