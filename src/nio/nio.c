/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <config.h>

#include "nio/nio.h"

#include <stdlib.h>

bool nio_offload = true;

/* nio_close() - close a NIO that no worker uses and free it; NULL is fine */
void nio_close(struct nio *nio)
{
	char *desc;

	if (!nio)
		return;
	desc = nio->desc;
	nio->ops->close(nio);
	free(desc);
}
