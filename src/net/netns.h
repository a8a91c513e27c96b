/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Network namespaces as file descriptors: while one is open, it is what it was. */
#ifndef NET_NETNS_H
#define NET_NETNS_H

#include <stdbool.h>
#include <sys/types.h>

#include "base/err.h"

int netns_open_pid(pid_t pid, struct err *err);
int netns_open_self(struct err *err);
bool netns_same(int fd_a, int fd_b);
int netns_run(int fd, int (*run)(void *arg, struct err *err), void *arg, struct err *err);

#endif
