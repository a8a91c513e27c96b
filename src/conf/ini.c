/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Theory of operation
 *
 * A section that could be set up is kept beside its bridge. A reload compares:
 * sections that say the same keep their bridges, which lose nothing; the bridges
 * of all others are deleted before new ones are made, because those may want the
 * same ports. A section that could not be set up is tried again.
 *
 * A section with the name of a host is set up when that has been looked up, which a
 * job does: neither other sections nor signals wait for a name server.
 */
#include <config.h>

#include "conf/ini.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "attach/attach.h"
#include "base/cleanup.h"
#include "base/job.h"
#include "base/lex.h"
#include "base/log.h"
#include "core/bridge.h"
#include "conf/ini_file.h"
#include "conf/ini_udp.h"
#include "nio/nio_ethernet.h"

static char *config_path;
static struct ini_section *active;	/* those that have a bridge */

/* ---- endpoints */

static struct nio *open_udp(char *value, const struct ini_host *host, struct err *err)
{
	struct nio *nio = NULL;
	struct udp_spec spec;

	log_info("Creating UDP tunnel %s", value);
	if (ini_udp_parse(value, &spec, err) < 0)
		return NULL;
	*err = host->err;
	if (host->addresses)
		nio = nio_udp_open(&spec, host->addresses, err);
	if (!nio)
		err_wrap(err, "unable to create UDP NIO");
	return nio;
}

/* LOCAL:REMOTE */
static struct nio *open_unix(char *value, struct err *err)
{
	char *remote = strchr(value, ':');
	struct nio *nio;

	log_info("Creating UNIX domain socket %s", value);
	if (!remote) {
		err_set(err, EINVAL, "invalid UNIX domain socket syntax");
		return NULL;
	}
	*remote++ = '\0';
	nio = nio_unix_open(value, remote, err);
	if (!nio)
		err_wrap(err, "unable to create UNIX NIO");
	return nio;
}

static struct nio *open_ethernet(char *value, struct err *err)
{
	struct nio *nio;

	log_info("Opening Ethernet device %s", value);
	nio = nio_ethernet_open(value, err);
	if (!nio)
		err_wrap(err, "unable to open Ethernet device");
	return nio;
}

static struct nio *open_tap(char *value, struct err *err)
{
	struct nio *nio;

	log_info("Opening TAP device %s", value);
	nio = nio_tap_open(value, err);
	if (!nio)
		err_wrap(err, "unable to open TAP device");
	return nio;
}

static struct nio *open_linux_raw(char *value, struct err *err)
{
	struct nio *nio;

	log_info("Opening Linux RAW device %s", value);
	nio = nio_raw_open(value, err);
	if (!nio)
		err_wrap(err, "unable to open RAW device");
	return nio;
}

static struct nio *open_docker(char *value, struct err *err)
{
	struct attach_spec spec;
	struct nio *nio = NULL;

	log_info("Waiting for container interface %s", value);
	if (attach_spec_parse_text(&spec, value, err) == 0) {
		if (spec.wait < 0)
			nio = attach_nio_new(&spec, err);
		else
			err_set(err, EINVAL, "wait= has no meaning here");
	}
	if (!nio)
		err_wrap(err, "unable to create Docker NIO");
	return nio;
}

typedef struct nio *opener(char *value, struct err *err);

/* Those that need nothing but their value. */
static opener *const openers[] = {
	[INI_UDP] = NULL,
	[INI_UNIX] = open_unix,
	[INI_ETHERNET] = open_ethernet,
	[INI_TAP] = open_tap,
	[INI_LINUX_RAW] = open_linux_raw,
	[INI_DOCKER] = open_docker,
};
_Static_assert(sizeof(openers) / sizeof(openers[0]) == INI_KIND_COUNT, "one each");

static int add_endpoint(struct bridge *bridge, const struct ini_endpoint *endpoint,
			const struct ini_host *host, struct err *err)
{
	AUTO_FREE char *value = strdup(endpoint->value);
	struct nio *nio;

	if (!value)
		return err_sys(err, ENOMEM, "endpoint");
	if (endpoint->kind == INI_UDP)
		nio = open_udp(value, host, err);
	else
		nio = openers[endpoint->kind](value, err);
	if (!nio)
		return -err->code;
	bridge_add_nio(bridge, nio);
	return 0;
}

static int add_endpoints(struct bridge *bridge, const struct ini_section *section,
			 const struct ini_host hosts[INI_SIDE_COUNT], struct err *err)
{
	static const char *const missing[] = { "source NIO not found", "destination NIO not found" };

	for (enum ini_side side = 0; side < INI_SIDE_COUNT; side++) {
		if (section->endpoint[side].kind == INI_KIND_COUNT)
			return err_set(err, EINVAL, "%s", missing[side]);
	}
	for (enum ini_side side = 0; side < INI_SIDE_COUNT; side++) {
		if (add_endpoint(bridge, &section->endpoint[side], &hosts[side], err) < 0)
			return -err->code;
	}
	return 0;
}

/* ---- filters and the capture: what is wrong with them is reported, the bridge works without */

static void apply_pcap_filter(struct bridge *bridge, const char *expression)
{
	static const char *const label[] = { "source", "destination" };

	for (enum side side = 0; side < SIDE_COUNT; side++) {
		struct nio *nio = bridge->link.nio[side];
		struct err err;

		if (!nio_is_ethernet(nio))
			continue;
		log_info("Applying PCAP filter '%s'", expression);
		if (nio_ethernet_set_filter(nio, expression, false, &err) < 0)
			log_error("unable to apply filter to %s NIO: %s", label[side], err.text);
		return;
	}
}

static int add_filter(struct bridge *bridge, const char *text, struct err *err)
{
	size_t len = strlen(text);
	AUTO_FREE char *line = strdup(text);
	AUTO_FREE char **word = malloc(LEX_WORDS_MAX(len) * sizeof(*word));
	struct lex_words words = { .word = word };
	struct filter *filter;

	if (!line || !word) /* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): both are AUTO_FREE */
		return err_sys(err, ENOMEM, "filter");
	if (lex_line(line, len, &words) != LEX_OK)
		return err_set(err, EINVAL, "a quote is where none may be, or is missing");
	filter = filter_from_words(word, words.count, words.ends_empty, err);
	if (!filter)
		return -err->code;
	if (!link_add_filter(&bridge->link, filter)) {
		filter_free(filter);
		return err_set(err, EEXIST, "there is already a filter '%s'", word[0]);
	}
	return 0;
}

static void add_filters(struct bridge *bridge, const struct ini_section *section)
{
	struct err err;

	for (size_t i = 0; i < section->filter_count; i++) {
		if (add_filter(bridge, section->filters[i], &err) < 0)
			log_error("bridge %s: packet filter '%s': %s", section->name,
				  section->filters[i], err.text);
	}
}

static void start_capture(struct bridge *bridge, const struct ini_section *section)
{
	const char *protocol = section->pcap_protocol ? section->pcap_protocol : "EN10MB";
	struct capture *capture;
	struct err err;

	log_info("Starting packet capture to %s with protocol %s", section->pcap_file, protocol);
	capture = capture_open(section->pcap_file, protocol, &err);
	if (capture)
		link_set_capture(&bridge->link, capture);
	else
		log_error("unable to start packet capture: %s", err.text);
}

/* ---- sections */

static bool set_up(const struct ini_section *section, const struct ini_host hosts[INI_SIDE_COUNT])
{
	struct bridge *bridge;
	struct err err;

	log_info("Parsing %s", section->name);
	bridge = bridge_create(section->name, &err);
	if (!bridge) {
		log_error("%s", err.text);
		return false;
	}
	if (add_endpoints(bridge, section, hosts, &err) < 0) {
		log_error("bridge %s: %s", section->name, err.text);
		bridge_delete(bridge);
		return false;
	}
	add_filters(bridge, section);
	if (section->pcap_file)
		start_capture(bridge, section);
	if (section->pcap_filter)
		apply_pcap_filter(bridge, section->pcap_filter);
	if (bridge_start(bridge, &err) < 0) {
		log_error("bridge %s: %s", section->name, err.text);
		bridge_delete(bridge);
		return false;
	}
	return true;
}

/* Takes a section, which gets a bridge or is forgotten. */
static void activate(struct ini_section *section, const struct ini_host hosts[INI_SIDE_COUNT])
{
	if (!set_up(section, hosts)) {
		ini_section_free(section);
		return;
	}
	section->next = active;
	active = section;
}

/* ---- sections that wait for names to be looked up */

struct lookup {
	struct job job;
	struct lookup *next;
	struct ini_section *section;
	bool obsolete;			/* it is not wanted any more */
	struct ini_host hosts[INI_SIDE_COUNT];
};

static struct lookup *lookups;

static void lookup_work(struct job *job)
{
	struct lookup *lookup = container_of(job, struct lookup, job);

	ini_hosts_resolve(lookup->hosts, lookup->section);
}

static void lookup_done(struct job *job)
{
	struct lookup *lookup = container_of(job, struct lookup, job), **place = &lookups;

	while (*place != lookup)
		place = &(*place)->next;
	*place = lookup->next;
	if (lookup->obsolete)
		ini_section_free(lookup->section);
	else
		activate(lookup->section, lookup->hosts);
	ini_hosts_free(lookup->hosts);
	free(lookup);
}

/* Takes a section. */
static void look_up(struct ini_section *section)
{
	struct lookup *lookup = calloc(1, sizeof(*lookup));
	struct err err;

	if (!lookup) {
		log_error("bridge %s: out of memory", section->name);
		ini_section_free(section);
		return;
	}
	lookup->job = (struct job){ .work = lookup_work, .done = lookup_done };
	lookup->section = section;
	lookup->next = lookups;
	lookups = lookup;
	if (job_start(&lookup->job, &err) < 0) {
		for (enum ini_side side = 0; side < INI_SIDE_COUNT; side++)
			lookup->hosts[side].err = err;
		job_skip(&lookup->job);
	}
}

/* ---- what there is and what is wanted */

static bool is_in(const struct ini_section *list, const struct ini_section *section)
{
	while (list && !ini_section_equal(list, section))
		list = list->next;
	return list != NULL;
}

static bool is_looked_up(const struct ini_section *section)
{
	const struct lookup *lookup = lookups;

	while (lookup && (lookup->obsolete || !ini_section_equal(lookup->section, section)))
		lookup = lookup->next;
	return lookup != NULL;
}

/* Deletes the bridges of active sections that @wanted does not have as they are. */
static void remove_obsolete(const struct ini_section *wanted)
{
	for (struct ini_section **place = &active; *place;) {
		struct ini_section *section = *place;

		if (is_in(wanted, section)) {
			place = &section->next;
			continue;
		}
		*place = section->next;
		bridge_delete(bridge_find(section->name));
		ini_section_free(section);
	}
	for (struct lookup *lookup = lookups; lookup; lookup = lookup->next)
		lookup->obsolete = lookup->obsolete || !is_in(wanted, lookup->section);
}

/* Makes bridges for the sections of @wanted that have none; frees the list. */
static void add_missing(struct ini_section *wanted)
{
	while (wanted) {
		struct ini_section *section = wanted;
		struct ini_host hosts[INI_SIDE_COUNT];

		wanted = section->next;
		if (is_in(active, section) || is_looked_up(section)) {
			ini_section_free(section);
		} else if (ini_hosts_take_time(section)) {
			look_up(section);
		} else {
			ini_hosts_resolve(hosts, section);
			activate(section, hosts);
			ini_hosts_free(hosts);
		}
	}
}

/* ini_load() - make and start the bridges of a file, soon for those with names of hosts
 *
 * Sections that can not be set up are reported and skipped. Return: 0, or a
 * negative errno with @err set when the file can not be read.
 */
int ini_load(const char *path, struct err *err)
{
	struct ini_section *wanted;

	config_path = strdup(path);
	if (!config_path)
		return err_sys(err, ENOMEM, "%s", path);
	if (ini_file_read(path, &wanted, err) < 0)
		return -err->code;
	add_missing(wanted);
	return 0;
}

/* ini_reload() - have the bridges be as the file says now
 *
 * A file that can not be read changes nothing.
 */
void ini_reload(void)
{
	struct ini_section *wanted;
	struct err err;

	log_info("Reloading configuration");
	if (ini_file_read(config_path, &wanted, &err) < 0) {
		log_error("%s, nothing was changed", err.text);
		return;
	}
	remove_obsolete(wanted);
	add_missing(wanted);
}

/* ini_fini() - forget the configuration; the bridges are deleted elsewhere */
void ini_fini(void)
{
	for (struct lookup *lookup = lookups; lookup; lookup = lookup->next)
		lookup->obsolete = true;
	ini_sections_free(active);
	active = NULL;
	free(config_path);
	config_path = NULL;
}
