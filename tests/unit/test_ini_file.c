/* SPDX-License-Identifier: GPL-3.0-or-later */
/* conf/ini_file: what a configuration file says, and what is wrong with it */
#include <config.h>

#include "conf/ini_file.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/log.h"

#define COUNT(rows) (sizeof(rows) / sizeof((rows)[0]))

static char path[] = "/tmp/ubridge-unit-XXXXXX";
static char logged[4096];

static void keep_line(enum log_stream stream, const char *line)
{
	(void)stream;
	snprintf(logged + strlen(logged), sizeof(logged) - strlen(logged), "%s\n", line);
}

static int set_up(void **state)
{
	int fd = mkstemp(path);

	(void)state;
	log_set_sink(keep_line);
	if (fd < 0)
		return -1;
	close(fd);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	return unlink(path);
}

static void write_file(const char *text)
{
	FILE *file = fopen(path, "w");

	assert_non_null(file);
	assert_int_equal(fputs(text, file) < 0, 0);
	assert_int_equal(fclose(file), 0);
	*logged = '\0';
}

static struct ini_section *read_text(const char *text)
{
	struct ini_section *sections;
	struct err err;

	write_file(text);
	assert_int_equal(ini_file_read(path, &sections, &err), 0);
	return sections;
}

static unsigned length(const struct ini_section *section)
{
	unsigned count = 0;

	for (; section; section = section->next)
		count++;
	return count;
}

/* ---- keys */

static const char *const kinds[INI_KIND_COUNT + 1] = {
	[INI_UDP] = "udp",
	[INI_UNIX] = "unix",
	[INI_ETHERNET] = "ethernet",
	[INI_TAP] = "tap",
	[INI_LINUX_RAW] = "linux_raw",
	[INI_DOCKER] = "docker",
	[INI_KIND_COUNT] = "none",
};

/* A section in one line: its name, its endpoints, then what else it has. */
static void describe(const struct ini_section *section, char *text, size_t size)
{
	size_t used = (size_t)snprintf(text, size, "%s", section->name);

	for (enum ini_side side = 0; side < INI_SIDE_COUNT; side++) {
		const struct ini_endpoint *endpoint = &section->endpoint[side];

		used += (size_t)snprintf(text + used, size - used, " %s=%s",
					 kinds[endpoint->kind],
					 endpoint->value ? endpoint->value : "-");
	}
	if (section->pcap_file)
		used += (size_t)snprintf(text + used, size - used, " file=%s",
					 section->pcap_file);
	if (section->pcap_protocol)
		used += (size_t)snprintf(text + used, size - used, " protocol=%s",
					 section->pcap_protocol);
	if (section->pcap_filter)
		used += (size_t)snprintf(text + used, size - used, " filter=%s",
					 section->pcap_filter);
	for (size_t i = 0; i < section->filter_count; i++)
		used += (size_t)snprintf(text + used, size - used, " +%s", section->filters[i]);
	assert_true(used < size);
}

#define UDP "source_udp = 1:h:2\n"

static void one_section(void **state)
{
	static const struct {
		const char *text, *want;
	} rows[] = {
		/* kinds; the first in their order counts */
		{ "[a]\n", "a none=- none=-" },
		{ "[a]\nsource_udp = 1:h:2\ndestination_udp = 3:h:4\n",
		  "a udp=1:h:2 udp=3:h:4" },
		{ "[a]\nsource_unix=/l:/r\ndestination_ethernet=eth0\n",
		  "a unix=/l:/r ethernet=eth0" },
		{ "[a]\nsource_tap=t0\ndestination_linux_raw=e1\n", "a tap=t0 linux_raw=e1" },
		{ "[a]\nsource_linux_raw=e0\ndestination_unix=/l:/r\n",
		  "a linux_raw=e0 unix=/l:/r" },
		{ "[a]\nsource_docker=c:eth0\ndestination_tap=t0\n", "a docker=c:eth0 tap=t0" },
		{ "[a]\nsource_tap=t0\nsource_udp=1:h:2\nsource_unix=x\n",
		  "a udp=1:h:2 none=-" },
		{ "[a]\ndestination_linux_raw=e\ndestination_tap=t\n", "a none=- tap=t" },
		{ "[a]\nsource_iol=1\nother=x\n", "a none=- none=-" },
		/* captures */
		{ "[a]\npcap_file=/x y.pcap\npcap_protocol=PPP\npcap_filter=ip or arp\n",
		  "a none=- none=- file=/x y.pcap protocol=PPP filter=ip or arp" },
		/* case and blanks */
		{ "[Ab C]\nSOURCE_UDP=1:H:2\n", "ab c udp=1:H:2 none=-" },
		{ "  [ a ]  \n  source_udp  =  1:h:2  \n", "a udp=1:h:2 none=-" },
		{ "[a]\n\tsource_udp\t=\t1:h:2\t\n", "a udp=1:h:2 none=-" },
		/* quotes */
		{ "[a]\nsource_udp = \"1:h:2\"\n", "a udp=1:h:2 none=-" },
		{ "[a]\nsource_udp = '1:h:2'\n", "a udp=1:h:2 none=-" },
		{ "[a]\npcap_filter = \"a ; b # c\"\n", "a none=- none=- filter=a ; b # c" },
		{ "[a]\npcap_filter = 'a ; b # c'\n", "a none=- none=- filter=a ; b # c" },
		{ "[a]\npcap_file = \" x \"\n", "a none=- none=- file= x " },
		/* comments */
		{ "; x\n# y\n[a]\n;source_tap=t\n#source_tap=t\n" UDP, "a udp=1:h:2 none=-" },
		{ "[a]\nsource_udp = 1:h:2 ; x\n", "a udp=1:h:2 none=-" },
		{ "[a]\nsource_udp = 1:h:2 # x\n", "a udp=1:h:2 none=-" },
		{ "[a]\nsource_udp = \"1:h:2\" ; x\n", "a udp=1:h:2 none=-" },
		/* line ends */
		{ "\r\n[a]\r\nsource_udp = 1:h:2\r\n\r\n", "a udp=1:h:2 none=-" },
		{ "[a]\nsource_udp = 1:h:2", "a udp=1:h:2 none=-" },
		{ "[a]\nsource_udp = 1:\\\nh:2\n", "a udp=1:h:2 none=-" },
		/* names with colons, IPv6 hosts */
		{ "[r1:eth0]\n" UDP, "r1:eth0 udp=1:h:2 none=-" },
		{ "[r1:eth0:x]\nsource_udp = 1:[::1]:2\n", "r1:eth0:x udp=1:[::1]:2 none=-" },
		{ "[r1:source_udp]\nsource_tap = t\n", "r1:source_udp tap=t none=-" },
		/* the last value of a key counts */
		{ "[a]\nsource_udp = 5:h:6\n" UDP, "a udp=1:h:2 none=-" },
		{ "[a]\n" UDP "[a]\ndestination_tap = t\n", "a udp=1:h:2 tap=t" },
		{ "[a]\n" UDP "[A]\nsource_udp = 7:h:8\n", "a udp=7:h:8 none=-" },
		/* filters in the order of the file, whatever they are called */
		{ "[a]\npacket_filter_2 = x delay 1\npacket_filter = y bpf \"tcp\"\n"
		  "packet_filter_1 = z corrupt 1\n",
		  "a none=- none=- +x delay 1 +y bpf \"tcp\" +z corrupt 1" },
		{ "[r:1]\npacket_filter_loss = l packet_loss 5\n",
		  "r:1 none=- none=- +l packet_loss 5" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct ini_section *sections;
		char text[512];

		print_message("<%s>\n", rows[i].text);
		sections = read_text(rows[i].text);
		assert_int_equal(length(sections), 1);
		describe(sections, text, sizeof(text));
		assert_string_equal(text, rows[i].want);
		assert_string_equal(logged, "");
		ini_sections_free(sections);
	}
}

static void several_sections_in_order(void **state)
{
	static const char *const names[] = { "b", "a", "r1:eth0", "c" };
	struct ini_section *sections =
		read_text("[b]\n" UDP "[a]\n[r1:eth0]\n" UDP "[b]\n[c]\n");
	const struct ini_section *section = sections;

	(void)state;
	assert_int_equal(length(sections), COUNT(names));
	for (size_t i = 0; i < COUNT(names); i++, section = section->next)
		assert_string_equal(section->name, names[i]);
	ini_sections_free(sections);
}

/* A section whose name begins like another's must not get its keys. */
static void sections_do_not_share_keys(void **state)
{
	struct ini_section *sections =
		read_text("[r]\n[r:x]\nsource_tap=t\npacket_filter=f delay 1\n"
			  "[rx]\nsource_tap=u\n[r-packet_filter]\nx=y\n");
	char text[128];

	(void)state;
	assert_int_equal(length(sections), 4);
	describe(sections, text, sizeof(text));
	assert_string_equal(text, "r none=- none=-");
	describe(sections->next, text, sizeof(text));
	assert_string_equal(text, "r:x tap=t none=- +f delay 1");
	describe(sections->next->next, text, sizeof(text));
	assert_string_equal(text, "rx tap=u none=-");
	ini_sections_free(sections);
}

static void many_sections_and_filters(void **state)
{
	enum { MANY = 300 };
	char text[64 * MANY] = "";
	const struct ini_section *section;
	struct ini_section *sections;
	unsigned number = 0;

	(void)state;
	for (unsigned i = 0; i < MANY; i++)
		sprintf(text + strlen(text), "[s%u]\nsource_tap=t%u\n", i, i);
	for (unsigned i = 0; i < MANY; i++)
		sprintf(text + strlen(text), "packet_filter_%u=f%u delay 1\n", MANY - i, i);
	sections = read_text(text);
	assert_int_equal(length(sections), MANY);
	for (section = sections; section; section = section->next, number++) {
		char want[64];

		sprintf(want, "t%u", number);
		assert_string_equal(section->endpoint[INI_SOURCE].value, want);
		assert_int_equal(section->filter_count, section->next ? 0 : MANY);
		for (unsigned i = 0; i < section->filter_count; i++) {
			sprintf(want, "f%u delay 1", i);
			assert_string_equal(section->filters[i], want);
		}
	}
	ini_sections_free(sections);
}

/* ---- what is no configuration */

static void files_without_sections(void **state)
{
	static const char *const texts[] = { "", "\n", "; nothing\n", "   \n\t\n", "x = 1\n" };

	(void)state;
	for (size_t i = 0; i < COUNT(texts); i++) {
		print_message("<%s>\n", texts[i]);
		assert_null(read_text(texts[i]));
	}
}

static void broken_files(void **state)
{
	static const struct {
		const char *text;
		unsigned line;
	} rows[] = {
		{ "[a]\nnonsense\n", 2 },
		{ "nonsense\n[a]\n", 1 },
		{ "[a]\n" UDP "\n[b\n", 4 },
		{ "[a]\n]\n", 2 },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct ini_section *sections;
		struct err err;
		char want[128];

		print_message("<%s>\n", rows[i].text);
		write_file(rows[i].text);
		assert_int_equal(ini_file_read(path, &sections, &err), -EINVAL);
		assert_null(sections);
		snprintf(want, sizeof(want), "iniparser: syntax error in %s on line %u\n", path,
			 rows[i].line);
		assert_string_equal(logged, want);
		assert_non_null(strstr(err.text, path));
	}
}

static void a_missing_file(void **state)
{
	struct ini_section *sections;
	struct err err;

	(void)state;
	*logged = '\0';
	assert_int_equal(ini_file_read("/nowhere/at/all.ini", &sections, &err), -EINVAL);
	assert_null(sections);
	assert_string_equal(logged, "iniparser: cannot open /nowhere/at/all.ini\n");
}

/* ---- comparing */

#define FULL "[a]\nsource_udp=1:h:2\ndestination_tap=t\npcap_file=f\npcap_protocol=PPP\n" \
	     "pcap_filter=ip\npacket_filter_1=x delay 1\npacket_filter_2=y delay 2\n"

static void equality(void **state)
{
	static const struct {
		const char *a, *b;
		bool equal;
	} rows[] = {
		{ "[a]\n", "[a]\n", true },
		{ FULL, FULL, true },
		{ FULL, "; moved\n\n" FULL "other=1\n", true },
		{ "[a]\n" UDP, "[ A ]\nsource_udp = \"1:h:2\" ; same\n", true },
		{ "[a]\n", "[b]\n", false },
		{ "[a]\n" UDP, "[a]\n", false },
		{ "[a]\n" UDP, "[a]\nsource_udp = 1:h:3\n", false },
		{ "[a]\nsource_tap=x\n", "[a]\nsource_linux_raw=x\n", false },
		{ "[a]\nsource_tap=x\n", "[a]\ndestination_tap=x\n", false },
		{ "[a]\npcap_file=x\n", "[a]\n", false },
		{ "[a]\npcap_file=x\n", "[a]\npcap_file=y\n", false },
		{ "[a]\npcap_protocol=PPP\n", "[a]\npcap_protocol=RAW\n", false },
		{ "[a]\npcap_filter=ip\n", "[a]\npcap_filter=arp\n", false },
		{ FULL, FULL "packet_filter_3=z delay 1\n", false },
		{ FULL, FULL "packet_filter_2=z delay 1\n", false },
		{ "[a]\npacket_filter_1=x delay 1\npacket_filter_2=y delay 2\n",
		  "[a]\npacket_filter_2=y delay 2\npacket_filter_1=x delay 1\n", false },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct ini_section *a = read_text(rows[i].a), *b = read_text(rows[i].b);

		print_message("<%s> <%s>\n", rows[i].a, rows[i].b);
		assert_int_equal(ini_section_equal(a, b), rows[i].equal);
		assert_int_equal(ini_section_equal(b, a), rows[i].equal);
		assert_true(ini_section_equal(a, a));
		ini_sections_free(a);
		ini_sections_free(b);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_section),
		cmocka_unit_test(several_sections_in_order),
		cmocka_unit_test(sections_do_not_share_keys),
		cmocka_unit_test(many_sections_and_filters),
		cmocka_unit_test(files_without_sections),
		cmocka_unit_test(broken_files),
		cmocka_unit_test(a_missing_file),
		cmocka_unit_test(equality),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
