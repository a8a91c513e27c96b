/* SPDX-License-Identifier: GPL-3.0-or-later */
/* iniparser takes every entry of its dictionary whose key has a colon for a key of
 * a section, so a section "r1:eth0" is missing from its own list of sections. In
 * the dictionary itself a section is what has no value: that is what counts here.
 */
#include <config.h>

#include "conf/ini_file.h"

#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#ifdef HAVE_INIPARSER_INIPARSER_H
#include <iniparser/iniparser.h>
#else
#include <iniparser.h>
#endif

#include "base/log.h"

#define KEY_MAX 2048
#define FILTER_KEY "packet_filter"

static const char *const kind_names[] = {
	[INI_UDP] = "udp",
	[INI_UNIX] = "unix",
	[INI_ETHERNET] = "ethernet",
	[INI_TAP] = "tap",
	[INI_LINUX_RAW] = "linux_raw",
	[INI_DOCKER] = "docker",
};
_Static_assert(sizeof(kind_names) / sizeof(kind_names[0]) == INI_KIND_COUNT, "a name each");

static const char *const side_names[] = { "source", "destination" };

static const char *lookup(const dictionary *dict, const char *section, const char *key)
{
	char path[KEY_MAX];
	int len = snprintf(path, sizeof(path), "%s:%s", section, key);

	if (len < 0 || (size_t)len >= sizeof(path))
		return NULL;
	return iniparser_getstring(dict, path, NULL);
}

/* A copy of a value; NULL when there is none. *@complete is cleared when there is no memory. */
static char *copy(const dictionary *dict, const char *section, const char *key, bool *complete)
{
	const char *value = lookup(dict, section, key);
	char *result = value ? strdup(value) : NULL;

	if (value && !result)
		*complete = false;
	return result;
}

static void read_endpoint(const dictionary *dict, const char *section, enum ini_side side,
			  struct ini_endpoint *endpoint, bool *complete)
{
	endpoint->kind = 0;
	while (endpoint->kind < INI_KIND_COUNT) {
		char key[64];

		snprintf(key, sizeof(key), "%s_%s", side_names[side], kind_names[endpoint->kind]);
		endpoint->value = copy(dict, section, key, complete);
		if (endpoint->value)
			return;
		endpoint->kind++;
	}
}

static bool is_filter_key(const char *entry, const char *section)
{
	size_t len = strlen(section);

	return !strncmp(entry, section, len) && entry[len] == ':' &&
	       !strncmp(entry + len + 1, FILTER_KEY, strlen(FILTER_KEY));
}

static void read_filters(const dictionary *dict, struct ini_section *section, bool *complete)
{
	section->filters = calloc((size_t)dict->n + 1, sizeof(*section->filters));
	if (!section->filters) {
		*complete = false;
		return;
	}
	for (ssize_t i = 0; i < (ssize_t)dict->size; i++) {
		if (!dict->key[i] || !dict->val[i] || !is_filter_key(dict->key[i], section->name))
			continue;
		section->filters[section->filter_count] = strdup(dict->val[i]);
		if (section->filters[section->filter_count])
			section->filter_count++;
		else
			*complete = false;
	}
}

static struct ini_section *read_section(const dictionary *dict, const char *name)
{
	struct ini_section *section = calloc(1, sizeof(*section));
	bool complete = true;

	if (!section)
		return NULL;
	section->name = strdup(name);
	if (!section->name) {
		ini_section_free(section);
		return NULL;
	}
	for (enum ini_side side = 0; side < INI_SIDE_COUNT; side++)
		read_endpoint(dict, name, side, &section->endpoint[side], &complete);
	section->pcap_file = copy(dict, name, "pcap_file", &complete);
	section->pcap_protocol = copy(dict, name, "pcap_protocol", &complete);
	section->pcap_filter = copy(dict, name, "pcap_filter", &complete);
	read_filters(dict, section, &complete);
	if (!complete) {
		ini_section_free(section);
		return NULL;
	}
	return section;
}

/* iniparser reports "syntax error in FILE (LINE):" and the line below it. */
static int report(const char *format, ...) __attribute__((format(printf, 1, 2)));

static int report(const char *format, ...)
{
	char text[KEY_MAX], *open;
	va_list ap;

	va_start(ap, format);
	vsnprintf(text, sizeof(text), format, ap);
	va_end(ap);
	text[strcspn(text, "\r\n")] = '\0';
	open = strrchr(text, '(');
	if (open && isdigit((unsigned char)open[1])) {
		*open = '\0';
		/* NOLINTNEXTLINE(cert-err34-c): printed by iniparser's %d */
		log_error("%son line %d", text, atoi(open + 1));
	} else {
		log_error("%s", text);
	}
	return 0;
}

/* ini_file_read() - all sections of a file, in its order
 *
 * What is wrong with the file is logged. Return: 0, or a negative errno with
 * @err set. Free the list with ini_sections_free().
 */
int ini_file_read(const char *path, struct ini_section **sections, struct err *err)
{
	struct ini_section **last = sections;
	dictionary *dict;
	int result = 0;

	*sections = NULL;
	iniparser_set_error_callback(report);
	dict = iniparser_load(path);
	if (!dict)
		return err_set(err, EINVAL, "%s can not be used", path);
	for (ssize_t i = 0; i < (ssize_t)dict->size && !result; i++) {
		if (!dict->key[i] || dict->val[i])
			continue;
		*last = read_section(dict, dict->key[i]);
		if (*last)
			last = &(*last)->next;
		else
			result = err_sys(err, ENOMEM, "%s", path);
	}
	iniparser_freedict(dict);
	if (result) {
		ini_sections_free(*sections);
		*sections = NULL;
	}
	return result;
}

/* ini_section_free() - one section, whatever follows it; NULL is fine */
void ini_section_free(struct ini_section *section)
{
	if (!section)
		return;
	for (enum ini_side side = 0; side < INI_SIDE_COUNT; side++)
		free(section->endpoint[side].value);
	while (section->filter_count)
		free(section->filters[--section->filter_count]);
	free(section->filters);
	free(section->pcap_file);
	free(section->pcap_protocol);
	free(section->pcap_filter);
	free(section->name);
	free(section);
}

void ini_sections_free(struct ini_section *first)
{
	while (first) {
		struct ini_section *next = first->next;

		ini_section_free(first);
		first = next;
	}
}

static bool same(const char *a, const char *b)
{
	return a && b ? !strcmp(a, b) : a == b;
}

/* ini_section_equal() - whether two sections describe the same bridge in every respect */
bool ini_section_equal(const struct ini_section *a, const struct ini_section *b)
{
	for (enum ini_side side = 0; side < INI_SIDE_COUNT; side++) {
		if (a->endpoint[side].kind != b->endpoint[side].kind ||
		    !same(a->endpoint[side].value, b->endpoint[side].value))
			return false;
	}
	if (!same(a->name, b->name) || !same(a->pcap_file, b->pcap_file) ||
	    !same(a->pcap_protocol, b->pcap_protocol) || !same(a->pcap_filter, b->pcap_filter) ||
	    a->filter_count != b->filter_count)
		return false;
	for (size_t i = 0; i < a->filter_count; i++) {
		if (!same(a->filters[i], b->filters[i]))
			return false;
	}
	return true;
}
