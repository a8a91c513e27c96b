/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <config.h>

#include "ctl/listen.h"

#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/str.h"

#define BACKLOG 512

/* listen_parse() - read [ADDRESS:]PORT; the last colon separates the two
 *
 * An IPv6 address may stand in brackets. Port 0 or none is LISTEN_PORT_DEFAULT.
 * Return: 0 or -EINVAL with @err set.
 */
int listen_parse(struct listen_spec *spec, const char *text, struct err *err)
{
	const char *colon = strrchr(text, ':');
	const char *port = colon ? colon + 1 : text;
	size_t len = colon ? (size_t)(colon - text) : 0;

	if (len >= 2 && text[0] == '[' && text[len - 1] == ']') {
		text++;
		len -= 2;
	}
	if (len >= sizeof(spec->host))
		return err_set(err, EINVAL, "address too long");
	memcpy(spec->host, text, len);
	spec->host[len] = '\0';
	spec->port = 0;
	if (*port && !parse_port(port, &spec->port))
		return err_set(err, EINVAL, "'%s' is no TCP port", port);
	if (!spec->port)
		spec->port = LISTEN_PORT_DEFAULT;
	return 0;
}

static int open_one(const struct addrinfo *address, struct err *err)
{
	AUTO_CLOSE int fd = socket(address->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	const int on = 1;

	if (fd < 0)
		return err_sys(err, errno, "socket");
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (bind(fd, address->ai_addr, address->ai_addrlen) < 0)
		return err_sys(err, errno, "bind");
	if (listen(fd, BACKLOG) < 0)
		return err_sys(err, errno, "listen");
	return take_fd(&fd);
}

/* One of a name's addresses may not exist on this host; a port that is taken is an error. */
static bool may_be_missing(int error)
{
	return error == -EADDRNOTAVAIL || error == -EAFNOSUPPORT;
}

static int open_all(const struct addrinfo *address, int fds[LISTEN_SOCKETS_MAX], size_t *count,
		    struct err *err)
{
	for (; address && *count < LISTEN_SOCKETS_MAX; address = address->ai_next) {
		int fd = open_one(address, err);

		if (fd >= 0)
			fds[(*count)++] = fd;
		else if (!may_be_missing(fd))
			return fd;
	}
	return *count ? 0 : -err->code;
}

/* listen_open() - a listening socket for each address of @spec
 *
 * Return: 0, or a negative errno with @err set and nothing open.
 */
int listen_open(const struct listen_spec *spec, int fds[LISTEN_SOCKETS_MAX], size_t *count,
		struct err *err)
{
	const struct addrinfo hints = { .ai_socktype = SOCK_STREAM };
	const char *host = *spec->host ? spec->host : "127.0.0.1";
	struct addrinfo *addresses = NULL;
	char port[8];
	int error;

	*count = 0;
	snprintf(port, sizeof(port), "%u", spec->port);
	error = getaddrinfo(host, port, &hints, &addresses);
	if (error)
		return err_set(err, EADDRNOTAVAIL, "%s: %s", host, gai_strerror(error));
	error = open_all(addresses, fds, count, err);
	freeaddrinfo(addresses);
	if (error) {
		while (*count)
			close(fds[--*count]);
		return err_wrap(err, "%s port %u", host, spec->port);
	}
	return 0;
}
