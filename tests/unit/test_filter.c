/* SPDX-License-Identifier: GPL-3.0-or-later */
/* filter: arguments and messages, the effect of each type, chains */
#include <config.h>

#include "filter/filter.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "filter/linktype.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define MAX_ARGS 4
#define MS 1000000u

/* What a test asks for: a type and up to MAX_ARGS arguments, the first NULL ends them. */
struct request {
	const char *type;
	const char *arg[MAX_ARGS];
};

static struct filter *try_new(const char *name, const struct request *request, struct err *err)
{
	char *argv[MAX_ARGS];
	struct filter *filter;
	int argc = 0;

	while (argc < MAX_ARGS && request->arg[argc]) {
		argv[argc] = strdup(request->arg[argc]);
		assert_non_null(argv[argc]);
		argc++;
	}
	memset(err, 0, sizeof(*err));
	filter = filter_new(name, request->type, argc, argv, err);
	while (argc)
		free(argv[--argc]);
	return filter;
}

static struct filter *must_new(const char *name, struct request request)
{
	struct err err;
	struct filter *filter = try_new(name, &request, &err);

	if (!filter)
		fail_msg("%s %s: %s", request.type, request.arg[0], err.text);
	return filter;
}

static void add(struct filter_chain *chain, const char *name, struct request request)
{
	assert_true(filter_chain_add(chain, must_new(name, request)));
}

#define FILTER(...) ((struct request){ __VA_ARGS__ })

static void fini(struct filter_chain *chain)
{
	filter_free_all(filter_chain_take_all(chain));
}

static struct filter_verdict run(struct filter_chain *chain, enum filter_dir dir)
{
	struct filter_verdict verdict;
	uint8_t data[60] = { 0 };

	memset(&verdict, 0xff, sizeof(verdict));
	filter_chain_run(chain, dir, data, sizeof(data), &verdict);
	return verdict;
}

/* How many of @total frames a chain of one filter drops. */
static unsigned dropped_of(unsigned total, struct request request)
{
	struct filter_chain chain;
	unsigned dropped = 0;

	filter_chain_init(&chain, 1, 1);
	add(&chain, "f", request);
	for (unsigned i = 0; i < total; i++)
		dropped += run(&chain, i % DIR_COUNT).dropped_by != NULL;
	fini(&chain);
	return dropped;
}

static void accepts(void **state)
{
	static const struct request rows[] = {
		{ "packet_loss", { "0" } },		{ "packet_loss", { "100" } },
		{ "packet_loss", { "0.5" } },		{ "packet_loss", { "99.999" } },
		{ "corrupt", { "0" } },			{ "corrupt", { "100" } },
		{ "corrupt", { "2.5" } },		{ "delay", { "1" } },
		{ "delay", { "1", "0" } },		{ "delay", { "10", "500" } },
		{ "delay", { "1.5", "0.25" } },		{ "delay", { "32767", "32767" } },
		{ "delay", { "2147483647", "2147483647" } },
		{ "frequency_drop", { "-1" } },		{ "frequency_drop", { "0" } },
		{ "frequency_drop", { "-7" } },		{ "frequency_drop", { "1000000" } },
		{ "bpf", { "arp or (udp and port 53)" } },
		{ "bpf", { "ip", "PPP_SERIAL" } },	{ "bpf", { "ip", "c_hdlc" } },
		{ "bpf", { "not tcp", "frelay" } },
		{ "bpf", { "" } },			{ "bpf", { "", "EN10MB" } },
		{ "bpf", { "ether host 11:22:33:44:55:66" } },
		{ "bpf", { "tcp src port 53", "EN10MB" } },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct filter *filter = must_new("some name", rows[i]);

		assert_string_equal(filter_name(filter), "some name");
		assert_string_equal(filter_type(filter), rows[i].type);
		assert_null(filter_next(filter));
		filter_free(filter);
	}
	filter_free(NULL);
}

#define LOSS_TEXT(arg) "packet_loss: '" arg "' is no percentage between 0 and 100"
#define CORRUPT_TEXT(arg) "corrupt: '" arg "' is no percentage between 0 and 100"
#define LATENCY_TEXT(arg) "delay: '" arg "' is no time between 1 and 2147483647 ms"
#define JITTER_TEXT(arg) "delay: '" arg "' is no time between 0 and 2147483647 ms"
#define INTEGER_TEXT(arg) "frequency_drop: '" arg "' is no whole number"
#define COUNT_TEXT(usage) "wrong number of arguments, expected " usage

static void refuses(void **state)
{
	static const struct {
		struct request request;
		const char *text;
	} rows[] = {
		{ { "packet_loss", { "101" } }, LOSS_TEXT("101") },
		{ { "packet_loss", { "-1" } }, LOSS_TEXT("-1") },
		{ { "packet_loss", { "100.01" } }, LOSS_TEXT("100.01") },
		{ { "packet_loss", { "10abc" } }, LOSS_TEXT("10abc") },
		{ { "packet_loss", { "" } }, LOSS_TEXT("") },
		{ { "packet_loss", { "nan" } }, LOSS_TEXT("nan") },
		{ { "packet_loss", { "1e1" } }, LOSS_TEXT("1e1") },
		{ { "packet_loss", { "0x10" } }, LOSS_TEXT("0x10") },
		{ { "packet_loss", { " 5" } }, LOSS_TEXT(" 5") },
		{ { "packet_loss", { NULL } }, COUNT_TEXT("packet_loss PERCENT") },
		{ { "packet_loss", { "5", "5" } }, COUNT_TEXT("packet_loss PERCENT") },
		{ { "corrupt", { "101" } }, CORRUPT_TEXT("101") },
		{ { "corrupt", { "-1" } }, CORRUPT_TEXT("-1") },
		{ { "corrupt", { "many" } }, CORRUPT_TEXT("many") },
		{ { "corrupt", { NULL } }, COUNT_TEXT("corrupt PERCENT") },
		{ { "delay", { "0" } }, LATENCY_TEXT("0") },
		{ { "delay", { "0.99" } }, LATENCY_TEXT("0.99") },
		{ { "delay", { "-5" } }, LATENCY_TEXT("-5") },
		{ { "delay", { "10ms" } }, LATENCY_TEXT("10ms") },
		{ { "delay", { "99999999999" } }, LATENCY_TEXT("99999999999") },
		{ { "delay", { "10", "-1" } }, JITTER_TEXT("-1") },
		{ { "delay", { "10", "x" } }, JITTER_TEXT("x") },
		{ { "delay", { NULL } }, COUNT_TEXT("delay LATENCY [JITTER]") },
		{ { "delay", { "1", "2", "3" } }, COUNT_TEXT("delay LATENCY [JITTER]") },
		{ { "frequency_drop", { "10abc" } }, INTEGER_TEXT("10abc") },
		{ { "frequency_drop", { "2.5" } }, INTEGER_TEXT("2.5") },
		{ { "frequency_drop", { "99999999999999999999" } },
		  INTEGER_TEXT("99999999999999999999") },
		{ { "frequency_drop", { NULL } }, COUNT_TEXT("frequency_drop N") },
		{ { "frequency_drop", { "1", "2" } }, COUNT_TEXT("frequency_drop N") },
		{ { "bpf", { NULL } }, COUNT_TEXT("bpf EXPRESSION [LINKTYPE]") },
		{ { "bpf", { "icmp", "EN10MB", "extra" } },
		  COUNT_TEXT("bpf EXPRESSION [LINKTYPE]") },
		{ { "bpf", { "icmp", "NOSUCHLINK" } },
		  "bpf: Unknown link type NOSUCHLINK" },
		{ { "bpf", { "", "NOSUCHLINK" } },
		  "bpf: Unknown link type NOSUCHLINK" },
		{ { "nosuch", { "1" } }, "Filter type 'nosuch' doesn't exist" },
		{ { "DELAY", { "10" } }, "Filter type 'DELAY' doesn't exist" },
		{ { "packet loss", { "10" } }, "Filter type 'packet loss' doesn't exist" },
		{ { "", { "10" } }, "Filter type '' doesn't exist" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct err err;

		assert_null(try_new("f", &rows[i].request, &err));
		assert_true(err.code > 0);
		assert_string_equal(err.text, rows[i].text);
	}
}

/* GNS3 looks for Cannot compile filter '(.*)': syntax error, also where libpcap says something
 * else, as it does of a port that can not be.
 */
static void bpf_errors_have_the_words_that_gns3_looks_for(void **state)
{
	static const char *const expressions[] = {
		"this is no filter", "port 99999999", "vlan and", "ip and arp and 1 = 2",
	};

	(void)state;
	for (size_t i = 0; i < COUNT(expressions); i++) {
		const struct request request = { "bpf", { expressions[i] } };
		char want[128];
		struct err err;
		size_t len;

		assert_null(try_new("f", &request, &err));
		len = (size_t)snprintf(want, sizeof(want),
				       "bpf: Cannot compile filter '%s': syntax error: ",
				       expressions[i]);
		assert_memory_equal(err.text, want, len);
		assert_true(strlen(err.text) > len);
	}
}

static void frequency_drop_counts_both_directions(void **state)
{
	struct filter_chain chain;

	(void)state;
	filter_chain_init(&chain, 0, 0);
	add(&chain, "f", FILTER("frequency_drop", { "3" }));
	for (unsigned i = 1; i <= 30; i++) {
		enum filter_dir dir = i % 2 ? DIR_FROM_SOURCE : DIR_FROM_DESTINATION;

		assert_int_equal(run(&chain, dir).dropped_by != NULL, i % 3 == 0);
	}
	fini(&chain);
}

static void drop_rates(void **state)
{
	static const struct {
		struct request request;
		unsigned min, max;	/* of 100000 frames */
	} rows[] = {
		{ { "frequency_drop", { "-1" } }, 100000, 100000 },
		{ { "frequency_drop", { "1" } }, 100000, 100000 },
		{ { "frequency_drop", { "0" } }, 0, 0 },
		{ { "frequency_drop", { "-2" } }, 0, 0 },
		{ { "frequency_drop", { "1000" } }, 100, 100 },
		{ { "frequency_drop", { "9223372036854775807" } }, 0, 0 },
		{ { "packet_loss", { "0" } }, 0, 0 },
		{ { "packet_loss", { "0.5" } }, 440, 560 },
		{ { "packet_loss", { "50" } }, 49500, 50500 },
		{ { "packet_loss", { "99" } }, 98900, 99100 },
		{ { "packet_loss", { "100" } }, 100000, 100000 },
		{ { "corrupt", { "100" } }, 0, 0 },
		{ { "bpf", { "" } }, 0, 0 },
		{ { "bpf", { " \t" } }, 0, 0 },
		{ { "bpf", { "", "RAW" } }, 0, 0 },
		{ { "bpf", { "len > 0" } }, 100000, 100000 },
		{ { "bpf", { "greater 61" } }, 0, 0 },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++)
		assert_in_range(dropped_of(100000, rows[i].request), rows[i].min, rows[i].max);
}

static void knows_what_drops_all(void **state)
{
	static const struct {
		struct request request;
		bool want;
	} rows[] = {
		{ { "frequency_drop", { "-1" } }, true },
		{ { "frequency_drop", { "1" } }, true },
		{ { "frequency_drop", { "0" } }, false },
		{ { "frequency_drop", { "2" } }, false },
		{ { "frequency_drop", { "-2" } }, false },
		{ { "packet_loss", { "100" } }, true },
		{ { "packet_loss", { "99.9" } }, false },
		{ { "packet_loss", { "0" } }, false },
		{ { "corrupt", { "100" } }, false },
		{ { "delay", { "100" } }, false },
		{ { "bpf", { "ip" } }, false },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct filter *filter = must_new("f", rows[i].request);

		assert_int_equal(filter_drops_all(filter), rows[i].want);
		filter_free(filter);
	}
}

static void constant_delays_add_up(void **state)
{
	struct filter_chain chain;

	(void)state;
	filter_chain_init(&chain, 0, 0);
	assert_int_equal(run(&chain, DIR_FROM_SOURCE).delay_ns, 0);
	add(&chain, "a", FILTER("delay", { "100" }));
	assert_int_equal(run(&chain, DIR_FROM_SOURCE).delay_ns, 100 * MS);
	add(&chain, "b", FILTER("delay", { "1.5", "0" }));
	assert_int_equal(run(&chain, DIR_FROM_DESTINATION).delay_ns, 101.5 * MS);
	add(&chain, "c", FILTER("delay", { "1.000001" }));
	assert_int_equal(run(&chain, DIR_FROM_SOURCE).delay_ns, 102.5 * MS + 1);
	fini(&chain);
}

static void jitter_is_uniform(void **state)
{
	static const struct {
		const char *latency, *jitter;
		uint64_t min, max, mean;	/* ns */
		unsigned zeros;			/* per thousand */
	} rows[] = {
		{ "10", "2", 8 * MS, 12 * MS, 10 * MS, 0 },
		{ "1.5", "0.25", 1250000, 1750000, 1500000, 0 },
		{ "10", "10", 0, 20 * MS, 10 * MS, 0 },
		/* uniform in -30..50, what is below zero becomes zero: 50/80 * 25 */
		{ "10", "40", 0, 50 * MS, 15625000, 375 },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		uint64_t least = UINT64_MAX, most = 0, sum = 0, width;
		struct filter_chain chain;
		unsigned zeros = 0;

		filter_chain_init(&chain, 5, 5);
		add(&chain, "f", FILTER("delay", { rows[i].latency, rows[i].jitter }));
		for (unsigned n = 0; n < 100000; n++) {
			uint64_t ns = run(&chain, DIR_FROM_SOURCE).delay_ns;

			least = ns < least ? ns : least;
			most = ns > most ? ns : most;
			sum += ns;
			zeros += ns == 0;
		}
		width = rows[i].max - rows[i].min;
		assert_in_range(least, rows[i].min, rows[i].min + width / 1000);
		assert_in_range(most, rows[i].max - width / 1000, rows[i].max);
		assert_in_range(sum / 100000, rows[i].mean - width / 200,
				rows[i].mean + width / 200);
		assert_in_range(zeros / 100, rows[i].zeros ? rows[i].zeros - 10 : 0,
				rows[i].zeros ? rows[i].zeros + 10 : 0);
		fini(&chain);
	}
}

static void largest_jitter_does_not_wrap(void **state)
{
	const uint64_t most = 2 * 2147483647ull * MS;
	struct filter_chain chain;

	(void)state;
	filter_chain_init(&chain, 5, 5);
	add(&chain, "f", FILTER("delay", { "2147483647", "2147483647" }));
	for (unsigned n = 0; n < 10000; n++)
		assert_in_range(run(&chain, DIR_FROM_SOURCE).delay_ns, 0, most);
	fini(&chain);
}

/* Asserts that exactly the middle quarter of what was @before is something else now. */
static void check_corrupted(const uint8_t *before, const uint8_t *after, uint32_t len)
{
	uint32_t first = 0, last = len;

	while (first < len && before[first] == after[first])
		first++;
	while (last > first && before[last - 1] == after[last - 1])
		last--;
	for (uint32_t i = first; i < last; i++)
		assert_int_not_equal(before[i], after[i]);
	assert_int_equal(last - first, len / 4);
	if (len < 4)
		return;
	assert_in_range(first + 2, len - last, len - last + 4);	/* in the middle, within two */
	if (len >= 36)
		assert_true(first >= 14);
}

static void corrupts_the_middle_quarter(void **state)
{
	static uint8_t before[9000], after[sizeof(before)];
	struct filter_counters counters;
	uint64_t changeable = 0;
	struct filter_chain chain;
	struct rng rng;

	(void)state;
	rng_seed(&rng, 3, 3);
	filter_chain_init(&chain, 3, 3);
	add(&chain, "f", FILTER("corrupt", { "100" }));
	for (uint32_t i = 0; i < sizeof(before); i++)
		before[i] = (uint8_t)rng_next(&rng);
	for (uint32_t len = 0; len <= sizeof(before); len += len < 1600 ? 1 : 400) {
		struct filter_verdict verdict;

		changeable += len >= 4;
		memcpy(after, before, sizeof(before));
		filter_chain_run(&chain, DIR_FROM_SOURCE, after, len, &verdict);
		assert_null(verdict.dropped_by);
		check_corrupted(before, after, len);
		assert_memory_equal(before + len, after + len, sizeof(before) - len);
	}
	filter_counters(chain.first, &counters);
	assert_int_equal(counters.changed, changeable);
	fini(&chain);
}

static void corrupt_rates(void **state)
{
	static const struct {
		const char *percent;
		uint64_t min, max;	/* of 100000 frames */
	} rows[] = {
		{ "0", 0, 0 }, { "2.5", 2300, 2700 }, { "50", 49500, 50500 },
		{ "100", 100000, 100000 },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct filter_counters counters;
		struct filter_chain chain;
		uint64_t changed = 0;

		filter_chain_init(&chain, 9, 9);
		add(&chain, "f", FILTER("corrupt", { rows[i].percent }));
		for (unsigned n = 0; n < 100000; n++) {
			struct filter_verdict verdict;
			uint8_t data[8] = { 0 };

			filter_chain_run(&chain, DIR_FROM_SOURCE, data, sizeof(data), &verdict);
			changed += data[3] || data[4];
		}
		filter_counters(chain.first, &counters);
		assert_int_equal(counters.changed, changed);
		assert_in_range(changed, rows[i].min, rows[i].max);
		fini(&chain);
	}
}

static const uint8_t icmp_frame[] = {
	0x02, 0, 0, 0, 0, 0x01, 0x02, 0, 0, 0, 0, 0xaa, 0x08, 0x00,
	0x45, 0, 0, 28, 0, 1, 0, 0, 64, 1, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2,
	8, 0, 0xf7, 0xff, 0, 0, 0, 0,
};
static const uint8_t vlan5_frame[] = {
	0x02, 0, 0, 0, 0, 0x01, 0x02, 0, 0, 0, 0, 0xaa, 0x81, 0x00, 0, 5, 0x88, 0xb5, 1, 2, 3,
};
static const uint8_t hdlc_ip[] = {
	0x0f, 0x00, 0x08, 0x00, 0x45, 0, 0, 20, 0, 1, 0, 0, 64, 17, 0, 0, 10, 0, 0, 1,
	10, 0, 0, 2,
};
static const uint8_t hdlc_keepalive[] = { 0x0f, 0x00, 0x80, 0x35, 0, 1, 2, 3, 4, 5, 6, 7 };
static const uint8_t raw_ip[] = {
	0x45, 0, 0, 20, 0, 1, 0, 0, 64, 17, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2,
};

#define FRAME(frame) frame, sizeof(frame)

static void bpf_drops_what_matches(void **state)
{
	static const struct {
		const char *expression, *linktype;
		const uint8_t *frame;
		uint32_t len;
		bool dropped;
	} rows[] = {
		{ "icmp[icmptype] == 8", NULL, FRAME(icmp_frame), true },
		{ "icmp[icmptype] == 0", NULL, FRAME(icmp_frame), false },
		{ "ether src 02:00:00:00:00:aa", NULL, FRAME(icmp_frame), true },
		{ "host 10.0.0.2", NULL, FRAME(icmp_frame), true },
		{ "host 10.9.9.9", NULL, FRAME(icmp_frame), false },
		{ "not vlan 5", NULL, FRAME(icmp_frame), true },
		{ "not vlan 5", NULL, FRAME(vlan5_frame), false },
		{ "vlan 5", "en10mb", FRAME(vlan5_frame), true },
		{ "greater 43", NULL, FRAME(icmp_frame), false },
		{ "greater 42", NULL, FRAME(icmp_frame), true },
		{ "ip", "C_HDLC", FRAME(hdlc_ip), true },
		{ "ip", "C_HDLC", FRAME(hdlc_keepalive), false },
		{ "ip", "C_HDLC", FRAME(icmp_frame), false },
		{ "ip", NULL, FRAME(hdlc_ip), false },
		{ "udp", "RAW", FRAME(raw_ip), true },
		{ "tcp", "RAW", FRAME(raw_ip), false },
		{ "ether[100] = 0", NULL, FRAME(icmp_frame), false },
		{ "icmp", NULL, icmp_frame, 0, false },
		{ "icmp", NULL, icmp_frame, 13, false },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct filter_verdict verdict;
		struct filter_chain chain;
		uint8_t data[64];

		memcpy(data, rows[i].frame, rows[i].len);
		filter_chain_init(&chain, 0, 0);
		add(&chain, "f", FILTER("bpf", { rows[i].expression, rows[i].linktype }));
		for (enum filter_dir dir = 0; dir < DIR_COUNT; dir++) {
			filter_chain_run(&chain, dir, data, rows[i].len, &verdict);
			if ((verdict.dropped_by != NULL) != rows[i].dropped)
				fail_msg("row %zu: %s", i, rows[i].expression);
		}
		assert_memory_equal(data, rows[i].frame, rows[i].len);
		fini(&chain);
	}
}

static void *compile_many(void *failed)
{
	for (unsigned i = 0; i < 200; i++) {
		char expression[64];
		char *argv[] = { expression };
		struct filter *filter;
		struct err err;

		snprintf(expression, sizeof(expression), "udp port %u or host 10.0.%u.1",
			 i + 1, i);
		filter = filter_new("f", "bpf", 1, argv, &err);
		*(unsigned *)failed += !filter;
		filter_free(filter);
	}
	return NULL;
}

/* Commands of several connections run at the same time. */
static void bpf_compiles_in_parallel(void **state)
{
	pthread_t thread[4];
	unsigned failed[COUNT(thread)] = { 0 };

	(void)state;
	for (unsigned i = 0; i < COUNT(thread); i++)
		assert_int_equal(pthread_create(&thread[i], NULL, compile_many, &failed[i]), 0);
	for (unsigned i = 0; i < COUNT(thread); i++) {
		pthread_join(thread[i], NULL);
		assert_int_equal(failed[i], 0);
	}
}

static void chain_keeps_order_and_names(void **state)
{
	static const char *const order[] = { "b", "a", "A", "c" };
	struct filter_chain chain;
	const struct filter *filter;
	struct filter *twin;

	(void)state;
	filter_chain_init(&chain, 0, 0);
	for (size_t i = 0; i < COUNT(order); i++)
		add(&chain, order[i], FILTER("packet_loss", { "0" }));
	twin = must_new("a", FILTER("delay", { "1" }));
	assert_false(filter_chain_add(&chain, twin));
	assert_false(chain.delays);
	filter = chain.first;
	for (size_t i = 0; i < COUNT(order); i++, filter = filter_next(filter))
		assert_string_equal(filter_name(filter), order[i]);
	assert_null(filter);

	filter_free(filter_chain_remove(&chain, "a"));
	assert_null(filter_chain_remove(&chain, "a"));
	assert_true(filter_chain_add(&chain, twin));
	assert_string_equal(filter_name(chain.first), "b");
	assert_string_equal(filter_name(filter_next(chain.first)), "A");
	assert_null(filter_next(twin));
	fini(&chain);
	assert_null(chain.first);
	assert_null(filter_chain_take_all(&chain));
}

static void removed_filter_stands_alone(void **state)
{
	struct filter_chain chain;
	struct filter *first;

	(void)state;
	filter_chain_init(&chain, 0, 0);
	add(&chain, "a", FILTER("packet_loss", { "0" }));
	add(&chain, "b", FILTER("packet_loss", { "0" }));
	first = filter_chain_remove(&chain, "a");
	assert_null(filter_next(first));
	assert_true(filter_chain_add(&chain, first));
	assert_ptr_equal(filter_next(chain.first), first);
	fini(&chain);
}

static void chain_knows_whether_it_delays(void **state)
{
	struct filter_chain chain;

	(void)state;
	filter_chain_init(&chain, 0, 0);
	assert_false(chain.delays);
	add(&chain, "a", FILTER("delay", { "1" }));
	add(&chain, "b", FILTER("packet_loss", { "0" }));
	add(&chain, "c", FILTER("delay", { "1" }));
	assert_true(chain.delays);
	filter_free(filter_chain_remove(&chain, "a"));
	assert_true(chain.delays);
	filter_free(filter_chain_remove(&chain, "c"));
	assert_false(chain.delays);
	add(&chain, "c", FILTER("delay", { "1" }));
	fini(&chain);
	assert_false(chain.delays);
}

static void expect_counters(const struct filter *filter, struct filter_counters want)
{
	struct filter_counters got;

	filter_counters(filter, &got);
	assert_int_equal(got.seen, want.seen);
	assert_int_equal(got.dropped, want.dropped);
	assert_int_equal(got.delayed, want.delayed);
	assert_int_equal(got.changed, want.changed);
}

static void first_dropper_ends_it(void **state)
{
	struct filter_chain chain;
	const struct filter *filter;

	(void)state;
	filter_chain_init(&chain, 0, 0);
	add(&chain, "late", FILTER("delay", { "5" }));
	add(&chain, "third", FILTER("frequency_drop", { "3" }));
	add(&chain, "change", FILTER("corrupt", { "100" }));
	add(&chain, "all", FILTER("packet_loss", { "100" }));
	add(&chain, "never", FILTER("packet_loss", { "100" }));
	for (unsigned i = 1; i <= 9; i++)
		assert_string_equal(filter_name(run(&chain, i % DIR_COUNT).dropped_by),
				    i % 3 ? "all" : "third");
	filter = chain.first;
	expect_counters(filter, (struct filter_counters){ .seen = 9, .delayed = 9 });
	filter = filter_next(filter);
	expect_counters(filter, (struct filter_counters){ .seen = 9, .dropped = 3 });
	filter = filter_next(filter);
	expect_counters(filter, (struct filter_counters){ .seen = 6, .changed = 6 });
	filter = filter_next(filter);
	expect_counters(filter, (struct filter_counters){ .seen = 6, .dropped = 6 });
	expect_counters(filter_next(filter), (struct filter_counters){ .seen = 0 });
	fini(&chain);
}

/* A digest of what a chain decides about frames of one direction, with @others frames of
 * the other direction in between each two of them.
 */
static uint64_t decisions(uint64_t seed, uint64_t stream, enum filter_dir dir, unsigned others)
{
	struct filter_chain chain;
	uint64_t digest = 0;

	filter_chain_init(&chain, seed, stream);
	add(&chain, "a", FILTER("packet_loss", { "50" }));
	add(&chain, "b", FILTER("corrupt", { "50" }));
	add(&chain, "c", FILTER("delay", { "10", "5" }));
	for (unsigned i = 0; i < 200; i++) {
		struct filter_verdict verdict;
		uint8_t data[8] = { 0 };

		filter_chain_run(&chain, dir, data, sizeof(data), &verdict);
		digest = digest * 31 + (verdict.dropped_by ? 1 : verdict.delay_ns);
		digest = digest * 31 + data[3] + data[4];
		for (unsigned n = 0; n < others; n++)
			run(&chain, DIR_COUNT - 1 - dir);
	}
	fini(&chain);
	return digest;
}

static void same_seed_same_decisions(void **state)
{
	const uint64_t want = decisions(1, 2, DIR_FROM_SOURCE, 0);

	(void)state;
	assert_true(decisions(1, 2, DIR_FROM_SOURCE, 0) == want);
	assert_true(decisions(1, 2, DIR_FROM_SOURCE, 3) == want);
	assert_false(decisions(1, 2, DIR_FROM_DESTINATION, 0) == want);
	assert_false(decisions(2, 2, DIR_FROM_SOURCE, 0) == want);
	assert_false(decisions(1, 3, DIR_FROM_SOURCE, 0) == want);
	assert_false(decisions(1, 1, DIR_FROM_DESTINATION, 0) == want);
}

static void link_types(void **state)
{
	static const struct {
		const char *name;
		int dlt;	/* -1: unknown */
	} rows[] = {
		{ "EN10MB", 1 },      { "en10mb", 1 },	   { "PPP", 9 },
		{ "PPP_SERIAL", 50 }, { "ATM_RFC1483", 11 }, { "RAW", 12 },
		{ "C_HDLC", 104 },    { "c_hdlc", 104 },   { "IEEE802_11", 105 },
		{ "FRELAY", 107 },    { "frelay", 107 },   { "DLT_EN10MB", -1 },
		{ "NOSUCHLINK", -1 }, { "", -1 },	   { "EN10MB ", -1 },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		int dlt = -1;

		assert_int_equal(linktype_parse(rows[i].name, &dlt), rows[i].dlt >= 0);
		assert_int_equal(dlt, rows[i].dlt);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(accepts),
		cmocka_unit_test(refuses),
		cmocka_unit_test(bpf_errors_have_the_words_that_gns3_looks_for),
		cmocka_unit_test(frequency_drop_counts_both_directions),
		cmocka_unit_test(drop_rates),
		cmocka_unit_test(knows_what_drops_all),
		cmocka_unit_test(constant_delays_add_up),
		cmocka_unit_test(jitter_is_uniform),
		cmocka_unit_test(largest_jitter_does_not_wrap),
		cmocka_unit_test(corrupts_the_middle_quarter),
		cmocka_unit_test(corrupt_rates),
		cmocka_unit_test(bpf_drops_what_matches),
		cmocka_unit_test(bpf_compiles_in_parallel),
		cmocka_unit_test(chain_keeps_order_and_names),
		cmocka_unit_test(removed_filter_stands_alone),
		cmocka_unit_test(chain_knows_whether_it_delays),
		cmocka_unit_test(first_dropper_ends_it),
		cmocka_unit_test(same_seed_same_decisions),
		cmocka_unit_test(link_types),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
