/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <config.h>

#include "conf/ini_udp.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* ini_udp_parse() - strict reading of LPORT:HOST:RPORT, where an IPv6 host may be in brackets
 * @value: is cut into the parts that @spec points to
 *
 * Return: 0, or a negative errno with @err set.
 */
int ini_udp_parse(char *value, struct udp_spec *spec, struct err *err)
{
	char *host = strchr(value, ':'), *remote = strrchr(value, ':');

	if (!host || host == remote)
		return err_set(err, EINVAL, "invalid UDP tunnel syntax");
	*host++ = '\0';
	*remote++ = '\0';
	if (*host == '[' && remote[-2] == ']') {
		host++;
		remote[-2] = '\0';
	}
	if (!udp_spec_parse(spec, value, host, remote, err))
		return err_wrap(err, "unable to create UDP NIO");
	return 0;
}

/* The host of a UDP endpoint, to be freed; NULL: it is none, or written wrongly. */
static char *host_of(const struct ini_endpoint *endpoint)
{
	struct udp_spec spec = { 0 };
	char *value, *host = NULL;
	struct err ignored;

	if (endpoint->kind != INI_UDP)
		return NULL;
	value = strdup(endpoint->value);
	if (value && ini_udp_parse(value, &spec, &ignored) == 0 && spec.host)
		host = strdup(spec.host);
	free(value);
	return host;
}

/* ini_hosts_take_time() - whether ini_hosts_resolve() may have to ask others */
bool ini_hosts_take_time(const struct ini_section *section)
{
	bool result = false;

	for (enum ini_side side = 0; side < INI_SIDE_COUNT; side++) {
		char *host = host_of(&section->endpoint[side]);

		result = result || (host && !udp_host_is_numeric(host));
		free(host);
	}
	return result;
}

/* ini_hosts_resolve() - the addresses of a section's UDP endpoints; blocks as long as the
 * resolver takes
 *
 * Any thread. What is written wrongly has no addresses. Release @hosts with ini_hosts_free().
 */
void ini_hosts_resolve(struct ini_host hosts[INI_SIDE_COUNT], const struct ini_section *section)
{
	for (enum ini_side side = 0; side < INI_SIDE_COUNT; side++) {
		char *host = host_of(&section->endpoint[side]);

		hosts[side] = (struct ini_host){ 0 };
		if (host)
			hosts[side].addresses = udp_resolve(host, &hosts[side].err);
		else
			err_set(&hosts[side].err, ENOMEM, "out of memory");
		free(host);
	}
}

void ini_hosts_free(struct ini_host hosts[INI_SIDE_COUNT])
{
	for (enum ini_side side = 0; side < INI_SIDE_COUNT; side++)
		udp_resolve_free(hosts[side].addresses);
}
