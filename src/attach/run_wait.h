/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Waiting until a container runs. Control thread. */
#ifndef ATTACH_RUN_WAIT_H
#define ATTACH_RUN_WAIT_H

#include "attach/session.h"

struct run_wait;

/* @pid is 0 when it was in vain: @why says why. The wait is freed after it. */
typedef void run_wait_done(void *data, pid_t pid, const struct err *why);

int run_wait_start(const char *reference, int seconds, run_wait_done *done, void *data,
		   struct err *err);
void run_wait_cancel(const void *data);
void run_wait_end_all(void);

#endif
