/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Resources that are released where their scope ends.
 *
 * A function that succeeds moves ownership out, with take_fd() or by setting the
 * pointer to NULL, so that each failure path is a plain return.
 */
#ifndef BASE_CLEANUP_H
#define BASE_CLEANUP_H

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <unistd.h>

static inline void cleanup_close(const int *fd)
{
	if (*fd >= 0)
		close(*fd);
}

/* take_fd() - move a descriptor out of an AUTO_CLOSE variable */
static inline int take_fd(int *fd)
{
	int taken = *fd;

	*fd = -1;
	return taken;
}

static inline void cleanup_free(void *pointer)
{
	free(*(void **)pointer);
}

#define AUTO_CLOSE __attribute__((cleanup(cleanup_close)))
#define AUTO_FREE __attribute__((cleanup(cleanup_free)))

/* The structure of @type that has @member at @pointer. */
#define container_of(pointer, type, member) \
	((type *)((uintptr_t)(pointer)-offsetof(type, member))) /* NOLINT(performance-no-int-to-ptr) */

#endif
