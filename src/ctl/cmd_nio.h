/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The commands that add NIOs to bridges and take them away. */
#ifndef CTL_CMD_NIO_H
#define CTL_CMD_NIO_H

#include "base/err.h"
#include "ctl/request.h"
#include "nio/nio_udp.h"

enum request_state cmd_add_nio_udp(struct request *request);
enum request_state cmd_delete_nio_udp(struct request *request);
enum request_state cmd_add_nio_unix(struct request *request);
enum request_state cmd_add_nio_tap(struct request *request);
enum request_state cmd_add_nio_ethernet(struct request *request);
enum request_state cmd_add_nio_linux_raw(struct request *request);

/* Resolves a UDP tunnel's host and then answers the request with @then(), which
 * gets the addresses, or NULL and the error.
 */
typedef enum request_state udp_resolved(struct request *request, const struct udp_spec *spec,
					const struct addrinfo *addresses, struct err *err);
enum request_state with_resolved(struct request *request, const struct udp_spec *spec,
				 udp_resolved *then);

#endif
