/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Where the Docker Engine is: what DOCKER_HOST and its companions mean here.
 *
 * Interfaces are moved between network namespaces of one kernel, so only an engine
 * of this host is of use. Any other is refused with the reason.
 */
#ifndef DOCKER_ENDPOINT_H
#define DOCKER_ENDPOINT_H

#include <stdbool.h>

#include "base/err.h"
#include "docker/http.h"

#define ENDPOINT_HOST_MAX 384

/* The docker client's environment, as far as it matters. */
struct endpoint_settings {
	char host[ENDPOINT_HOST_MAX];	/* DOCKER_HOST; empty: the usual sockets are looked at */
	bool tls;			/* for tcp:// only */
	bool verify;
	char cert_dir[HTTP_PATH_MAX];
};

int endpoint_settings_from_env(struct endpoint_settings *settings, struct err *err);
const char *endpoint_host(const struct endpoint_settings *settings);
int endpoint_resolve(const struct endpoint_settings *settings, const char *host,
		     struct http_endpoint *endpoint, struct err *err);

#endif
