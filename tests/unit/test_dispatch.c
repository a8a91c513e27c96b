/* SPDX-License-Identifier: GPL-3.0-or-later */
/* ctl/dispatch: from a line to exactly one reply, whatever the line says
 *
 * With the real modules, but in place of the server only what it offers to them.
 */
#include <config.h>

#include "ctl/dispatch.h"

#include <ftw.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/log.h"
#include "base/rng.h"
#include "core/bridge.h"
#include "core/iol.h"
#include "ctl/control.h"
#include "ctl/server.h"

#define COUNT(rows) (sizeof(rows) / sizeof((rows)[0]))

static unsigned hang_ups, finished;

void server_hang_up(struct request *request)
{
	(void)request;
	hang_ups++;
}

static void ignore_line(enum log_stream stream, const char *line)
{
	(void)stream;
	(void)line;
}

static void finish(struct request *request)
{
	(void)request;
	finished++;
	control_stop();
}

/* A line, and its reply as text. */
struct asked {
	struct request request;
	char *line;
	char reply[65536];
};

static void asked_free(struct asked *asked)
{
	buf_free(&asked->request.reply);
	free(asked->request.words);
	free(asked->line);
	free(asked);
}

/* Carries a line out as the server does; a pending request is waited for. */
static struct asked *ask_bytes(const char *line, size_t len)
{
	struct asked *asked = calloc(1, sizeof(*asked));
	struct request *request = &asked->request;

	asked->line = malloc(len + 1);
	assert_non_null(asked->line);
	memcpy(asked->line, line, len);
	asked->line[len] = '\0';
	request->line = asked->line;
	request->finished = finish;
	finished = 0;
	if (dispatch_line(request, asked->line, len) == REQUEST_PENDING) {
		assert_int_equal(request->reply.len, 0);
		control_run(NULL);
		assert_int_equal(finished, 1);
	}
	assert_int_equal(finished ? 1 : 0, finished);
	assert_false(request->reply.failed);
	assert_true(request->reply.len < sizeof(asked->reply));
	memcpy(asked->reply, request->reply.data, request->reply.len);
	return asked;
}

static void expect(const char *line, const char *want)
{
	struct asked *asked = ask_bytes(line, strlen(line));

	print_message("%s\n", line);
	assert_string_equal(asked->reply, want);
	asked_free(asked);
}

static void delete_all(void)
{
	bridge_delete_all();
	iol_delete_all();
}

static int tear_down(void **state)
{
	(void)state;
	delete_all();
	return 0;
}

/* ---- codes */

#define NO_COMMAND "200-At least a module and a command must be specified\r\n"

static void lines_that_reach_no_command(void **state)
{
	static const struct {
		const char *line, *want;
	} rows[] = {
		{ "", NO_COMMAND },
		{ " \t", NO_COMMAND },
		{ "# comment", NO_COMMAND },
		{ "bridge", NO_COMMAND },
		{ "bridge \"\"", NO_COMMAND },
		{ "bridge # list", NO_COMMAND },
		{ "nonsense", NO_COMMAND },
		{ "bri\"dge list", "200-Parse error: unexpected quote\r\n" },
		{ "bridge \"list", "200-Parse error: unexpected end of line\r\n" },
		{ "nonsense list", "201-Unknown module 'nonsense'\r\n" },
		{ "Bridge list", "201-Unknown module 'Bridge'\r\n" },
		{ "\"bridge \" list", "201-Unknown module 'bridge '\r\n" },
		{ "%s%n x", "201-Unknown module '%s%n'\r\n" },
		{ "bridge nonsense", "202-Unknown command 'nonsense'\r\n" },
		{ "bridge List", "202-Unknown command 'List'\r\n" },
		{ "bridge list extra",
		  "203-Bad number of parameters (1 with min/max=0/0)\r\n" },
		{ "bridge create", "203-Bad number of parameters (0 with min/max=1/1)\r\n" },
		{ "bridge create \"\"",
		  "203-Bad number of parameters (0 with min/max=1/1)\r\n" },
		{ "bridge start_capture b",
		  "203-Bad number of parameters (1 with min/max=2/3)\r\n" },
		{ "bridge add_packet_filter 1 2 3 4 5 6 7 8 9 10 11",
		  "203-Bad number of parameters (11 with min/max=2/10)\r\n" },
		{ "hypervisor cmd_list nonsense", "201-unknown module 'nonsense'\r\n" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++)
		expect(rows[i].line, rows[i].want);
}

static void checks_come_in_their_order(void **state)
{
	(void)state;
	/* the quote before the module, the module before the command, and so on */
	expect("nonsense x \"", "200-Parse error: unexpected end of line\r\n");
	expect("nonsense nonsense 1 2 3", "201-Unknown module 'nonsense'\r\n");
	expect("bridge nonsense 1 2 3", "202-Unknown command 'nonsense'\r\n");
	expect("bridge start nonsense 2",
	       "203-Bad number of parameters (2 with min/max=1/1)\r\n");
	expect("bridge start nonsense", "214-bridge 'nonsense' doesn't exist\r\n");
	expect("bridge add_nio_udp nonsense x y z", "214-bridge 'nonsense' doesn't exist\r\n");
}

static void commands(void **state)
{
	static const struct {
		const char *line, *want;
	} rows[] = {
		{ "hypervisor version", "100-" PACKAGE_VERSION "\r\n" },
		{ "\"hypervisor\" \"version\" # yes", "100-" PACKAGE_VERSION "\r\n" },
		{ "hypervisor module_list", "101 brctl\r\n101 iol_bridge\r\n101 docker\r\n"
					    "101 bridge\r\n101 hypervisor\r\n100-OK\r\n" },
		{ "hypervisor cmd_list brctl", "101 addif (min/max args: 2/2)\r\n100-OK\r\n" },
		{ "bridge list", "100-OK\r\n" },
		{ "bridge create a", "100-bridge 'a' created\r\n" },
		{ "bridge create \"b c\"", "100-bridge 'b c' created\r\n" },
		{ "bridge create a", "206-bridge 'a' already exist\r\n" },
		{ "bridge list", "101 b c (NIOs = 0)\r\n101 a (NIOs = 0)\r\n100-OK\r\n" },
		{ "bridge rename a \"b c\"", "213-bridge 'b c' already exist\r\n" },
		{ "bridge rename a %d", "100-bridge 'a' renamed to '%d'\r\n" },
		{ "bridge start %d", "209-bridge '%d' must have 2 NIOs to be started\r\n" },
		{ "bridge stop %d", "210-bridge '%d' is not running\r\n" },
		{ "bridge show %d", "101 bridge '%d' is not running\r\n100-OK\r\n" },
		{ "bridge add_packet_filter %d f", "206-Failed to add filter 'f'\r\n" },
		{ "bridge add_packet_filter %d f frequency_drop 5",
		  "100-Filter 'f' type 'frequency_drop' added to bridge '%d'\r\n" },
		{ "bridge add_packet_filter %d f delay 5", "206-Failed to add filter 'f'\r\n" },
		{ "bridge delete_packet_filter %d f",
		  "100-Filter 'f' delete from bridge '%d'\r\n" },
		{ "bridge delete_packet_filter %d f", "206-Failed to delete filter 'f'\r\n" },
		{ "bridge add_packet_filter %d g bpf \"\"",
		  "100-Filter 'g' type 'bpf' added to bridge '%d'\r\n" },
		{ "bridge delete a", "214-bridge 'a' doesn't exist\r\n" },
		{ "bridge delete %d", "100-bridge '%d' deleted\r\n" },
		{ "iol_bridge start a", "214-IOL bridge 'a' doesn't exist\r\n" },
		{ "iol_bridge get_stats a", "214-bridge 'a' doesn't exist\r\n" },
		{ "hypervisor reset", "100-OK\r\n" },
		{ "bridge list", "100-OK\r\n" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++)
		expect(rows[i].line, rows[i].want);
	hang_ups = 0;
	expect("hypervisor close", "100-OK\r\n");
	assert_int_equal(hang_ups, 1);
}

/* ---- requests that wait for the resolver */

static void a_name_makes_a_request_pending(void **state)
{
	struct asked *asked;

	(void)state;
	expect("bridge create b", "100-bridge 'b' created\r\n");
	expect("bridge add_nio_udp b 0 name..invalid 1",
	       "206-unable to create NIO UDP for bridge 'b'\r\n");
	assert_int_equal(finished, 1);
	expect("bridge add_nio_udp b 0 localhost 1", "100-NIO UDP added to bridge 'b'\r\n");
	assert_int_equal(finished, 1);
	asked = ask_bytes("bridge add_nio_udp b 0 127.0.0.1 1", 34);
	assert_int_equal(finished, 0);
	asked_free(asked);
}

/* What a request names may be gone when the resolver answers. */
static void the_bridge_goes_while_its_name_is_looked_up(void **state)
{
	static const struct {
		const char *meanwhile, *want;
	} rows[] = {
		{ "bridge delete b", "214-bridge 'b' doesn't exist\r\n" },
		{ "hypervisor reset", "214-bridge 'b' doesn't exist\r\n" },
		{ "bridge rename b c", "214-bridge 'b' doesn't exist\r\n" },
		{ "bridge list", "100-NIO UDP added to bridge 'b'\r\n" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		char line[] = "bridge add_nio_udp b 0 localhost 1";
		struct request request = { .line = line, .finished = finish };
		char *meanwhile = strdup(rows[i].meanwhile);
		struct request other = { .line = meanwhile, .finished = finish };

		print_message("%s\n", meanwhile);
		expect("bridge create b", "100-bridge 'b' created\r\n");
		assert_int_equal(dispatch_line(&request, line, strlen(line)), REQUEST_PENDING);
		assert_int_equal(dispatch_line(&other, meanwhile, strlen(meanwhile)),
				 REQUEST_DONE);
		control_run(NULL);
		assert_int_equal(request.reply.len, strlen(rows[i].want));
		assert_memory_equal(request.reply.data, rows[i].want, request.reply.len);
		buf_free(&request.reply);
		buf_free(&other.reply);
		free(request.words);
		free(other.words);
		free(meanwhile);
		delete_all();
	}
}

/* ---- random lines */

/* Commands that could meet a device, a file or a process of this host. */
static const char *const left_out[] = { "add_nio_tap", "add_nio_unix", "create_veth",
					"move_to_ns" };

/* Nothing here names one either. */
static const char *const words[] = {
	"a",
	"b",
	"c",
	"f",
	"g",
	"0",
	"1",
	"-1",
	"15",
	"65536",
	"99999999999999999999",
	"127.0.0.1",
	"::1",
	"localhost",
	"/dev/null",
	"/dev/full",
	"EN10MB",
	"frequency_drop",
	"packet_loss",
	"delay",
	"corrupt",
	"bpf",
	"\"tcp port\"",
	"\"ip or arp\"",
	"\"\"",
	"%s%n",
	"bridge",
	"00:11:22:33:44:55",
	"\xff\xfe",
	"this-name-is-too-long-for-interfaces",
};

static const char noise[] = "ab \t\"\"#!\\%0-\x01\x80\0";

/* Said again and again, so that the others have something to act on. */
static const char *const fertile[] = {
	"bridge create a",
	"bridge create b",
	"iol_bridge create a 65334",
	"bridge add_nio_udp a 0 localhost 1",
	"bridge add_nio_udp a 0 ::1 1",
	"bridge start a",
	"iol_bridge add_nio_udp a 65335 0 1 0 127.0.0.1 1",
	"iol_bridge start a",
	"bridge add_packet_filter a f delay 5 5",
	"iol_bridge add_packet_filter a 0 1 f delay 5",
};

/* NOLINTNEXTLINE(misc-no-recursion): as often as it hits one that is left out */
static const struct command *random_command(struct rng *rng, const char **module_name)
{
	const struct module *module = dispatch_module(rng_next(rng) % 5);
	const struct command *command = &module->commands[rng_next(rng) % module->count];

	*module_name = module->name;
	for (size_t i = 0; i < COUNT(left_out); i++) {
		if (!strcmp(command->name, left_out[i]))
			return random_command(rng, module_name);
	}
	/* an IOL id belongs to the whole host */
	if (module == &module_iol_bridge && !strcmp(command->name, "create"))
		return random_command(rng, module_name);
	return command;
}

static size_t random_noise(struct rng *rng, char *line)
{
	size_t len = rng_next(rng) % 60;

	for (size_t i = 0; i < len; i++)
		line[i] = noise[rng_next(rng) % sizeof(noise)];
	return len;
}

/* Mostly a command with about the right number of arguments, of which the first is likely. */
static size_t random_line(struct rng *rng, char *line, size_t room)
{
	const char *module;
	const struct command *command = random_command(rng, &module);
	unsigned arguments = command->min + rng_next(rng) % (command->max - command->min + 2);
	size_t len;

	if (rng_next(rng) % 8 == 0)
		return random_noise(rng, line);
	len = (size_t)snprintf(line, room, "%s %s", module, command->name);
	for (unsigned i = 0; i < arguments; i++) {
		size_t choices = i ? COUNT(words) : 3;

		len += (size_t)snprintf(line + len, room - len, " %s",
					words[rng_next(rng) % choices]);
	}
	if (rng_next(rng) % 8 == 0)
		line[rng_next(rng) % len] = noise[rng_next(rng) % sizeof(noise)];
	return len;
}

static bool is_code(const char *text)
{
	static const char *const codes[] = { "100", "200", "201", "202", "203", "204", "206",
					     "207", "209", "210", "213", "214", "215" };

	for (size_t i = 0; i < COUNT(codes); i++) {
		if (!strncmp(text, codes[i], 3))
			return true;
	}
	return false;
}

/* Information lines, one final line, nothing else, each ending in CR LF. */
static void assert_well_formed(const char *reply, size_t len)
{
	bool final = false;

	for (size_t at = 0; at < len;) {
		const char *line = reply + at;
		const char *end = memchr(line, '\n', len - at);

		assert_false(final);
		assert_non_null(end);
		assert_true(end - line >= 5 && end[-1] == '\r');
		assert_null(memchr(line, '\r', (size_t)(end - line - 1)));
		final = line[3] == '-';
		if (final)
			assert_true(is_code(line));
		else
			assert_memory_equal(line, "101 ", 4);
		at += (size_t)(end - line) + 1;
	}
	assert_true(final);
}

static void random_lines_have_one_reply_each(void **state)
{
	unsigned done = 0, pending = 0;
	struct rng rng;

	(void)state;
	/* as root, what a line says is not to meet the host's interfaces */
	if (unshare(CLONE_NEWNET))
		print_message("in the host's network namespace\n");
	rng_seed(&rng, 4, 0);
	for (unsigned round = 0; round < 10000; round++) {
		const char *line = fertile[round / 3 % COUNT(fertile)];
		size_t len = strlen(line);
		struct asked *asked;
		char random[1024];

		if (round % 3) {
			line = random;
			len = random_line(&rng, random, sizeof(random));
		}
		asked = ask_bytes(line, len);
		assert_well_formed(asked->reply, asked->request.reply.len);
		done += !memcmp(asked->reply, "100-", 4);
		pending += finished;
		asked_free(asked);
	}
	/* it was not all nonsense */
	print_message("%u succeeded, %u had to wait\n", done, pending);
	assert_true(done > 1000);
	assert_true(pending > 10);
}

/* Random captures are written somewhere. */
static char directory[] = "/tmp/test_dispatch.XXXXXX";

static int remove_entry(const char *path, const struct stat *file, int kind, struct FTW *walk)
{
	(void)file;
	(void)kind;
	(void)walk;
	return remove(path);
}

static int group_set_up(void **state)
{
	struct err err;

	(void)state;
	log_set_sink(ignore_line);
	if (!mkdtemp(directory) || chdir(directory) < 0)
		return -1;
	return control_init(&err);
}

static int group_tear_down(void **state)
{
	(void)state;
	workers_stop();
	control_fini();
	if (chdir("/") < 0)
		return -1;
	return nftw(directory, remove_entry, 8, FTW_DEPTH | FTW_PHYS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(lines_that_reach_no_command, tear_down),
		cmocka_unit_test_teardown(checks_come_in_their_order, tear_down),
		cmocka_unit_test_teardown(commands, tear_down),
		cmocka_unit_test_teardown(a_name_makes_a_request_pending, tear_down),
		cmocka_unit_test_teardown(the_bridge_goes_while_its_name_is_looked_up,
					  tear_down),
		cmocka_unit_test_teardown(random_lines_have_one_reply_each, tear_down),
	};

	return cmocka_run_group_tests(tests, group_set_up, group_tear_down);
}
