/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <config.h>

#include "docker/endpoint.h"

#include <errno.h>
#include <ifaddrs.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/str.h"

#define DOCKER_SOCKET "/var/run/docker.sock"
#define PODMAN_SOCKET "/run/podman/podman.sock"

#define PORT_PLAIN "2375"
#define PORT_TLS "2376"

/* The parts of tcp://HOST[:PORT] */
struct tcp_host {
	char name[HTTP_HOST_MAX];	/* without brackets */
	char port[8];
};

static bool env_is_set(const char *name)
{
	const char *value = getenv(name);

	return value && *value;
}

static int copy(char *out, size_t size, const char *text, const char *what, struct err *err)
{
	if ((size_t)snprintf(out, size, "%s", text) >= size)
		return err_set(err, ENAMETOOLONG, "%s is too long", what);
	return 0;
}

static int cert_dir_from_env(char *dir, size_t size, struct err *err)
{
	char standard[HTTP_PATH_MAX];
	const char *home = getenv("HOME");

	if (env_is_set("DOCKER_CERT_PATH"))
		return copy(dir, size, getenv("DOCKER_CERT_PATH"), "DOCKER_CERT_PATH", err);
	if ((size_t)snprintf(standard, sizeof(standard), "%s/.docker", home ? home : "") >=
	    sizeof(standard))
		return err_set(err, ENAMETOOLONG, "HOME is too long");
	return copy(dir, size, standard, "HOME", err);
}

/* endpoint_settings_from_env() - DOCKER_HOST, DOCKER_TLS_VERIFY, DOCKER_TLS, DOCKER_CERT_PATH
 *
 * They mean what they mean to the docker client: either of the middle two, not
 * empty, asks for TLS, and only the first checks who answers.
 *
 * Return: 0, or -ENAMETOOLONG.
 */
int endpoint_settings_from_env(struct endpoint_settings *settings, struct err *err)
{
	int rc = 0;

	*settings = (struct endpoint_settings){ 0 };
	settings->verify = env_is_set("DOCKER_TLS_VERIFY");
	settings->tls = settings->verify || env_is_set("DOCKER_TLS");
	if (env_is_set("DOCKER_HOST"))
		rc = copy(settings->host, sizeof(settings->host), getenv("DOCKER_HOST"),
			  "DOCKER_HOST", err);
	if (!rc)
		rc = cert_dir_from_env(settings->cert_dir, sizeof(settings->cert_dir), err);
	return rc;
}

/* endpoint_host() - the address to try: DOCKER_HOST or what stands in for it
 *
 * Without DOCKER_HOST the answer follows the sockets that exist at the moment. It is valid for
 * as long as @settings.
 */
const char *endpoint_host(const struct endpoint_settings *settings)
{
	if (settings->host[0])
		return settings->host;
	if (access(DOCKER_SOCKET, F_OK) < 0 && access(PODMAN_SOCKET, F_OK) == 0)
		return "unix://" PODMAN_SOCKET;
	return "unix://" DOCKER_SOCKET;
}

static int resolve_unix(const char *path, struct http_endpoint *endpoint, struct err *err)
{
	strcpy(endpoint->authority, "docker");
	return copy(endpoint->socket, sizeof(endpoint->socket), *path ? path : DOCKER_SOCKET,
		    "path of the socket", err);
}

/* Split HOST, HOST:PORT, [ADDRESS] or [ADDRESS]:PORT. */
static bool split_tcp(const char *text, const char *port, struct tcp_host *host)
{
	bool brackets = *text == '[';
	size_t length = brackets ? strcspn(++text, "]") : strcspn(text, ":");
	const char *rest = text + length + brackets;
	uint16_t number;

	if (!length || length >= sizeof(host->name) || (brackets && text[length] != ']'))
		return false;
	if (strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_:")
	    < length)
		return false;
	memcpy(host->name, text, length);
	host->name[length] = '\0';
	if (*rest == ':')
		port = rest + 1;
	else if (*rest)
		return false;
	if (!parse_port(port, &number) || !number)
		return false;
	snprintf(host->port, sizeof(host->port), "%u", number);
	return true;
}

static bool is_loopback(const struct sockaddr *address)
{
	const struct sockaddr_in *four = (const struct sockaddr_in *)address;

	return address->sa_family == AF_INET && ntohl(four->sin_addr.s_addr) >> 24 == 127;
}

static bool same_address(const struct sockaddr *a, const struct sockaddr *b)
{
	if (!a || a->sa_family != b->sa_family)
		return false;
	if (a->sa_family == AF_INET)
		return ((const struct sockaddr_in *)a)->sin_addr.s_addr ==
		       ((const struct sockaddr_in *)b)->sin_addr.s_addr;
	return a->sa_family == AF_INET6 &&
	       !memcmp(&((const struct sockaddr_in6 *)a)->sin6_addr,
		       &((const struct sockaddr_in6 *)b)->sin6_addr, sizeof(struct in6_addr));
}

/* Whether an address belongs to this host. That one may bind to it would not do: some hosts
 * allow that for any.
 */
static bool is_own(const struct ifaddrs *own, const struct sockaddr *address)
{
	while (own && !same_address(own->ifa_addr, address))
		own = own->ifa_next;
	return own || is_loopback(address);
}

/* Put those addresses of @list that are ours behind "host:port:", for CURLOPT_RESOLVE. */
static unsigned pin_own(const struct ifaddrs *own, const struct addrinfo *list, char *pin,
			size_t size)
{
	unsigned count = 0;

	for (; list; list = list->ai_next) {
		char number[64];
		size_t used = strlen(pin);
		bool six = list->ai_family == AF_INET6;

		if (!is_own(own, list->ai_addr) ||
		    getnameinfo(list->ai_addr, list->ai_addrlen, number, sizeof(number),
				NULL, 0, NI_NUMERICHOST) || used + strlen(number) + 4 > size)
			continue;
		snprintf(pin + used, size - used, "%s%s%s%s", count++ ? "," : "",
			 six ? "[" : "", number, six ? "]" : "");
	}
	return count;
}

/* The name is looked up once, here: what libcurl connects to is what was found to be ours.
 * It does not take, and an IPv6 address does not need, a line of its own for that.
 */
static int pin_tcp(const struct tcp_host *host, struct http_endpoint *endpoint, struct err *err)
{
	const struct addrinfo hints = { .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM };
	struct addrinfo *list;
	struct ifaddrs *own;
	unsigned count;
	int rc;

	if (getifaddrs(&own) < 0)
		return err_sys(err, errno, "addresses of this host");
	rc = getaddrinfo(host->name, host->port, &hints, &list);
	if (rc) {
		freeifaddrs(own);
		return err_set(err, ENOTCONN, "can not find %s: %s", host->name,
			       gai_strerror(rc));
	}
	snprintf(endpoint->pin, sizeof(endpoint->pin), "%s:%s:", host->name, host->port);
	count = pin_own(own, list, endpoint->pin, sizeof(endpoint->pin));
	freeaddrinfo(list);
	freeifaddrs(own);
	if (strchr(host->name, ':'))
		endpoint->pin[0] = '\0';
	if (!count)
		return err_set(err, EREMOTE, "%s is not an address of this host, and network "
			       "namespaces can only be reached on the same host", host->name);
	return 0;
}

static int resolve_tcp(const struct endpoint_settings *settings, const char *text,
		       struct http_endpoint *endpoint, struct err *err)
{
	struct tcp_host host;
	bool six;

	if (!split_tcp(text, settings->tls ? PORT_TLS : PORT_PLAIN, &host))
		return err_set(err, EINVAL, "not an address: tcp://HOST:PORT is expected");
	six = strchr(host.name, ':');
	snprintf(endpoint->authority, sizeof(endpoint->authority), "%s%s%s:%s", six ? "[" : "",
		 host.name, six ? "]" : "", host.port);
	endpoint->tls = settings->tls;
	endpoint->verify = settings->verify;
	strcpy(endpoint->cert_dir, settings->cert_dir);
	return pin_tcp(&host, endpoint, err);
}

static bool starts_with(const char *text, const char *start)
{
	return strncmp(text, start, strlen(start)) == 0;
}

static int refuse(const char *host, struct err *err)
{
	if (starts_with(host, "ssh://"))
		return err_set(err, EREMOTE, "ssh:// leads to another host, and network namespaces "
			       "can only be reached on the same host");
	if (starts_with(host, "npipe://"))
		return err_set(err, EPROTONOSUPPORT, "npipe:// is for Windows only");
	if (starts_with(host, "fd://"))
		return err_set(err, EPROTONOSUPPORT, "fd:// is how the engine is started, "
			       "a client needs unix:// or tcp://");
	return err_set(err, EINVAL, "not an address: unix://PATH or tcp://HOST:PORT is expected");
}

/* endpoint_resolve() - where to connect now
 * @host: an answer of endpoint_host()
 *
 * A name in tcp://NAME:PORT is looked up, which can take as long as DNS takes.
 *
 * Return: 0; -EREMOTE for an engine on another host; -EPROTONOSUPPORT, -EINVAL or
 * -ENAMETOOLONG for an address that can not be used at all; -ENOTCONN for a name
 * that is not found.
 */
int endpoint_resolve(const struct endpoint_settings *settings, const char *host,
		     struct http_endpoint *endpoint, struct err *err)
{
	*endpoint = (struct http_endpoint){ 0 };
	if (starts_with(host, "unix://"))
		return resolve_unix(host + strlen("unix://"), endpoint, err);
	if (starts_with(host, "tcp://"))
		return resolve_tcp(settings, host + strlen("tcp://"), endpoint, err);
	return refuse(host, err);
}
