/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <config.h>

#include "attach/spec.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/str.h"

/* What IP asks for at the least, and what a TAP device takes at the most. */
#define MTU_MIN 68
#define MTU_MAX 65521

#define WAIT_MAX (24 * 60 * 60)
#define OPTIONS_MAX 64

struct parse {
	struct attach_spec *spec;
	bool has_backend;
};

static int refuse(const char *key, const char *value, const char *reason, struct err *err)
{
	return err_set(err, EINVAL, "%s=%s: %s", key, value, reason);
}

static int parse_mac_key(struct parse *parse, const char *value, struct err *err)
{
	uint8_t *mac = parse->spec->plug.mac;

	if (!parse_mac(value, mac))
		return refuse("mac", value, "no Ethernet address", err);
	if (mac[0] & 1 || !memcmp(mac, "\0\0\0\0\0\0", MAC_LEN))
		return refuse("mac", value, "not the address of one interface", err);
	parse->spec->has_mac = true;
	return 0;
}

static int parse_mtu(struct parse *parse, const char *value, struct err *err)
{
	int64_t mtu;

	if (!parse_int(value, MTU_MIN, MTU_MAX, &mtu))
		return refuse("mtu", value, "no number from 68 to 65521", err);
	parse->spec->plug.mtu = (uint32_t)mtu;
	return 0;
}

static bool is_prefixed_address(const char *value)
{
	char address[INET6_ADDRSTRLEN];
	const char *slash = strchr(value, '/');
	struct in6_addr any;
	int64_t prefix;

	/* a number may have any number of zeros in front */
	if (!slash || slash - value >= INET6_ADDRSTRLEN || strlen(value) >= PLUG_ADDRESS_MAX)
		return false;
	snprintf(address, sizeof(address), "%.*s", (int)(slash - value), value);
	if (inet_pton(AF_INET, address, &any) == 1)
		return parse_int(slash + 1, 0, 32, &prefix);
	return inet_pton(AF_INET6, address, &any) == 1 && parse_int(slash + 1, 0, 128, &prefix);
}

static int parse_ip(struct parse *parse, const char *value, struct err *err)
{
	struct plug_spec *plug = &parse->spec->plug;

	if (!is_prefixed_address(value))
		return refuse("ip", value, "not ADDRESS/PREFIX", err);
	if (plug->address_count == PLUG_ADDRESSES)
		return refuse("ip", value, "too many addresses", err);
	snprintf(plug->address[plug->address_count++], PLUG_ADDRESS_MAX, "%s", value);
	return 0;
}

static int parse_host_if(struct parse *parse, const char *value, struct err *err)
{
	struct err ignored;

	if (netdev_check_new_name(value, &ignored) < 0)
		return refuse("host_if", value, "not the name of an interface", err);
	snprintf(parse->spec->plug.host_if, NETDEV_NAME_MAX, "%s", value);
	return 0;
}

static int parse_backend(struct parse *parse, const char *value, struct err *err)
{
	if (!strcmp(value, "tap"))
		parse->spec->plug.backend = PLUG_TAP;
	else if (!strcmp(value, "veth"))
		parse->spec->plug.backend = PLUG_VETH;
	else
		return refuse("backend", value, "neither tap nor veth", err);
	parse->has_backend = true;
	return 0;
}

static int parse_wait(struct parse *parse, const char *value, struct err *err)
{
	int64_t seconds;

	if (!parse_int(value, 0, WAIT_MAX, &seconds))
		return refuse("wait", value, "no number of seconds", err);
	parse->spec->wait = (int)seconds;
	return 0;
}

static const struct {
	const char *key;
	int (*parse)(struct parse *parse, const char *value, struct err *err);
} keys[] = {
	{ "mac", parse_mac_key },	{ "mtu", parse_mtu },
	{ "ip", parse_ip },		{ "host_if", parse_host_if },
	{ "backend", parse_backend },	{ "wait", parse_wait },
};

static int parse_option(struct parse *parse, const char *option, struct err *err)
{
	size_t length = strcspn(option, "=");

	for (size_t i = 0; option[length] && i < sizeof(keys) / sizeof(keys[0]); i++) {
		if (strlen(keys[i].key) == length && !strncmp(keys[i].key, option, length))
			return keys[i].parse(parse, option + length + 1, err);
	}
	return err_set(err, EINVAL, "'%s' is no option", option);
}

/* A name for the host's end, where it has one, means that there is one. */
static int settle_backend(const struct parse *parse, struct err *err)
{
	struct plug_spec *plug = &parse->spec->plug;

	if (*plug->host_if && !parse->has_backend)
		plug->backend = PLUG_VETH;
	if (*plug->host_if && plug->backend == PLUG_TAP)
		return err_set(err, EINVAL, "host_if=%s: a TAP device has no end on the host",
			       plug->host_if);
	return 0;
}

/* attach_spec_parse() - from words
 * @options: KEY=VALUE each
 *
 * Return: 0, or -EINVAL with @err set.
 */
int attach_spec_parse(struct attach_spec *spec, const char *container, const char *interface,
		      size_t option_count, char *const *options, struct err *err)
{
	struct parse parse = { .spec = spec };
	struct err ignored;

	*spec = (struct attach_spec){ .wait = -1, .plug = { .backend = PLUG_TAP, .up = true } };
	if (!engine_reference_ok(container))
		return err_set(err, EINVAL, "'%s' is not the name or id of a container", container);
	if (netdev_check_new_name(interface, &ignored) < 0)
		return err_set(err, EINVAL, "'%s' is not the name of an interface", interface);
	strcpy(spec->container, container);
	strcpy(spec->plug.interface, interface);
	for (size_t i = 0; i < option_count; i++) {
		if (parse_option(&parse, options[i], err) < 0)
			return -err->code;
	}
	return settle_backend(&parse, err);
}

/* attach_spec_parse_text() - from CONTAINER:INTERFACE[,KEY=VALUE]...
 *
 * Return: 0, or a negative errno with @err set.
 */
int attach_spec_parse_text(struct attach_spec *spec, const char *text, struct err *err)
{
	AUTO_FREE char *copy = strdup(text);
	char *options[OPTIONS_MAX], *interface, *rest;
	size_t count = 0;

	if (!copy)
		return err_sys(err, ENOMEM, "docker");
	rest = copy;
	interface = strsep(&rest, ",");
	(void)strsep(&interface, ":");
	if (!interface) /* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): copy is AUTO_FREE */
		return err_set(err, EINVAL, "expected CONTAINER:INTERFACE[,KEY=VALUE]...");
	while (rest && count < OPTIONS_MAX)
		options[count++] = strsep(&rest, ",");
	if (rest)
		return err_set(err, EINVAL, "too many options");
	return attach_spec_parse(spec, copy, interface, count, options, err);
}
