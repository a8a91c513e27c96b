/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The control thread's loop, and the end of the program. */
#ifndef CTL_CONTROL_H
#define CTL_CONTROL_H

#include "base/err.h"
#include "base/loop.h"

int control_init(struct err *err);
struct loop *control_loop(void);
void control_run(void (*hangup)(void));
void control_stop(void);
void control_fini(void);

#endif
