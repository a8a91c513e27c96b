/* SPDX-License-Identifier: GPL-3.0-or-later */
/* core/iol and the wire format: datagrams to ports, bridges that start under load */
#include <config.h>

#include "core/iol.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/log.h"
#include "nio/nio_iol.h"
#include "nio_fake.h"

#define COUNT(rows) (sizeof(rows) / sizeof((rows)[0]))
#define BRIDGE_ID 65331
#define INSTANCE_ID 65332
#define HEADER 8

static void ignore_line(enum log_stream stream, const char *line)
{
	(void)stream;
	(void)line;
}

/* ---- which datagram is for which port */

static void datagrams_in_runs(void **state)
{
	static const struct {
		const char *name;
		struct {
			uint8_t port;
			uint32_t len;		/* with the header; 0: no more */
		} in[8];
		struct {
			uint8_t port;
			unsigned frames;	/* 0: no more */
		} want[8];
	} rows[] = {
		{ "nothing", { { 0 } }, { { 0 } } },
		{ "one", { { 3, 68 } }, { { 3, 1 } } },
		{ "the shortest", { { 3, 9 } }, { { 3, 1 } } },
		{ "no frame in it", { { 3, 8 } }, { { 0 } } },
		{ "not even a header", { { 3, 1 }, { 3, 7 } }, { { 0 } } },
		{ "one port", { { 3, 68 }, { 3, 69 }, { 3, 70 } }, { { 3, 3 } } },
		{ "two ports",
		  { { 0, 68 }, { 255, 68 }, { 255, 68 } },
		  { { 0, 1 }, { 255, 2 } } },
		{ "in turns",
		  { { 1, 68 }, { 2, 68 }, { 1, 68 } },
		  { { 1, 1 }, { 2, 1 }, { 1, 1 } } },
		{ "short ones first", { { 1, 8 }, { 1, 2 }, { 1, 68 } }, { { 1, 1 } } },
		{ "short ones last", { { 1, 68 }, { 1, 8 }, { 1, 2 } }, { { 1, 1 } } },
		{ "short ones between",
		  { { 1, 68 }, { 1, 8 }, { 1, 68 } },
		  { { 1, 1 }, { 1, 1 } } },
	};
	struct batch batch;
	struct err err;

	(void)state;
	assert_int_equal(batch_init(&batch, &err), 0);
	for (size_t row = 0; row < COUNT(rows); row++) {
		unsigned next = 0, runs = 0, in = 0;
		struct batch run;
		uint8_t port;

		print_message("%s\n", rows[row].name);
		batch_clear(&batch);
		for (unsigned i = 0; rows[row].in[i].len; i++) {
			uint8_t *slot = batch_slot(&batch, i);

			slot[4] = rows[row].in[i].port;
			batch_add(&batch, slot, rows[row].in[i].len);
		}
		while (iol_next_run(&batch, &next, &run, &port)) {
			assert_int_equal(port, rows[row].want[runs].port);
			assert_int_equal(run.count, rows[row].want[runs].frames);
			for (unsigned i = 0; i < run.count; i++, in++) {
				while (rows[row].in[in].len <= HEADER)
					in++;
				assert_ptr_equal(run.frame[i].data,
						 batch_slot(&batch, in) + HEADER);
				assert_int_equal(run.frame[i].len,
						 rows[row].in[in].len - HEADER);
			}
			runs++;
		}
		assert_int_equal(rows[row].want[runs].frames, 0);
	}
	batch_fini(&batch);
}

/* ---- a bridge, with a fake in place of a port's UDP tunnel */

static struct iol_bridge *bridge;
static struct nio_fake *tunnel;
static int instance;

static struct nio_fake *add_tunnel(unsigned port)
{
	struct nio_fake *fake = nio_fake_new("tunnel");
	struct err err;

	assert_int_equal(iol_port_set_nio(bridge, port, INSTANCE_ID, &fake->nio, &err), 0);
	return fake;
}

static int set_up(void **state)
{
	struct sockaddr_un address;
	struct err err;

	(void)state;
	bridge = iol_create("i", BRIDGE_ID, &err);
	if (!bridge || unix_address(&address, bridge->socket.address.sun_path, &err) < 0)
		return -1;
	tunnel = add_tunnel(0);
	instance = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0);
	return connect(instance, (struct sockaddr *)&address, sizeof(address));
}

static int tear_down(void **state)
{
	(void)state;
	close(instance);
	iol_delete_all();
	return 0;
}

static void send_from_instance(uint8_t port, uint32_t number)
{
	uint8_t data[HEADER + 60] = { [4] = port, [6] = 1 };

	memcpy(data + HEADER, &number, sizeof(number));
	assert_int_equal(send(instance, data, sizeof(data), 0), sizeof(data));
}

static uint32_t take(struct nio_fake *fake)
{
	struct fake_frame frame = nio_fake_take(fake);
	uint32_t number;

	assert_int_equal(frame.len, 60);
	memcpy(&number, frame.data, sizeof(number));
	free(frame.data);
	return number;
}

static void the_destination_port_selects_the_tunnel(void **state)
{
	struct nio_fake *other = add_tunnel(iol_port_number(15, 15));
	struct err err;

	(void)state;
	assert_int_equal(iol_start(bridge, &err), 0);
	send_from_instance(0, 1);
	send_from_instance(255, 2);
	send_from_instance(7, 3);
	send_from_instance(0, 4);
	assert_int_equal(take(tunnel), 1);
	assert_int_equal(take(tunnel), 4);
	assert_int_equal(take(other), 2);
	assert_int_equal(nio_fake_pending(other), 0);
	assert_int_equal(iol_port_count(bridge), 2);
}

static atomic_bool flooding;

static void *flood(void *arg)
{
	uint8_t data[HEADER + 60] = { [6] = 1 };

	(void)arg;
	while (flooding)
		(void)!send(instance, data, sizeof(data), 0);
	return NULL;
}

/* The socket is there, and full, before the bridge starts and while it stops. */
static void starts_and_stops_under_load(void **state)
{
	char ms[] = "1", *argv[] = { ms };
	pthread_t flooder;
	struct link *link;
	struct err err;

	(void)state;
	link = iol_port_link(bridge, 0, &err);
	assert_true(link_add_filter(link, filter_new("d", "delay", 1, argv, &err)));
	flooding = true;
	assert_int_equal(pthread_create(&flooder, NULL, flood, NULL), 0);
	for (unsigned i = 0; i < 100; i++) {
		assert_int_equal(iol_start(bridge, &err), 0);
		iol_stop(bridge);
	}
	flooding = false;
	pthread_join(flooder, NULL);
}

static void ports_change_under_load(void **state)
{
	pthread_t flooder;
	struct err err;

	(void)state;
	assert_int_equal(iol_start(bridge, &err), 0);
	flooding = true;
	assert_int_equal(pthread_create(&flooder, NULL, flood, NULL), 0);
	for (unsigned i = 0; i < 50; i++) {
		char name[16];

		snprintf(name, sizeof(name), "n%u", i);
		iol_port_delete_nio(bridge, 0);
		tunnel = add_tunnel(0);
		assert_int_equal(iol_rename(bridge, name, &err), 0);
	}
	flooding = false;
	pthread_join(flooder, NULL);
	iol_port_delete_nio(bridge, 0);
	assert_false(iol_port_has_nio(bridge, 0));
}

static void the_same_id_twice(void **state)
{
	struct err err;

	(void)state;
	assert_null(iol_create("other", BRIDGE_ID, &err));
	assert_non_null(strstr(err.text, "already has a lock on ID 65331"));
	assert_ptr_equal(iol_first(), bridge);
	assert_null(bridge->next);
}

static int group_set_up(void **state)
{
	(void)state;
	log_set_sink(ignore_line);
	return 0;
}

static int group_tear_down(void **state)
{
	(void)state;
	workers_stop();
	return 0;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(datagrams_in_runs),
		TEST(the_destination_port_selects_the_tunnel),
		TEST(starts_and_stops_under_load),
		TEST(ports_change_under_load),
		TEST(the_same_id_twice),
	};

	return cmocka_run_group_tests(tests, group_set_up, group_tear_down);
}
