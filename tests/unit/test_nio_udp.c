/* SPDX-License-Identifier: GPL-3.0-or-later */
/* nio/nio_udp: which arrivals count as a stream of single datagrams */
#include <config.h>

#include "nio/nio_udp.h"

#include <netinet/in.h>
#include <netinet/udp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#define COUNT(rows) (sizeof(rows) / sizeof((rows)[0]))
#define SIZE 100

struct fixture {
	struct nio *nio;
	int peer;
	struct batch batch;
};

static struct sockaddr_in address_of(int fd)
{
	struct sockaddr_in address;
	socklen_t len = sizeof(address);

	assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &len), 0);
	return address;
}

static int open_peer(void)
{
	struct sockaddr_in any = { .sin_family = AF_INET };
	int fd = socket(AF_INET, SOCK_DGRAM, 0);

	any.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	assert_int_equal(bind(fd, (struct sockaddr *)&any, sizeof(any)), 0);
	return fd;
}

static struct nio *open_nio(int peer)
{
	struct addrinfo *addresses;
	struct udp_spec spec;
	struct err err;
	struct nio *nio;
	char port[8];

	snprintf(port, sizeof(port), "%u", ntohs(address_of(peer).sin_port));
	assert_true(udp_spec_parse(&spec, "0", "127.0.0.1", port, &err));
	addresses = udp_resolve(spec.host, &err);
	assert_non_null(addresses);
	nio = nio_udp_open(&spec, addresses, &err);
	udp_resolve_free(addresses);
	assert_non_null(nio);
	return nio;
}

static int set_up(void **state)
{
	static struct fixture fixture;
	struct sockaddr_in address;
	struct err err;

	fixture.peer = open_peer();
	fixture.nio = open_nio(fixture.peer);
	address = address_of(fixture.nio->fd);
	*state = &fixture;
	return batch_init(&fixture.batch, &err) ||
	       connect(fixture.peer, (struct sockaddr *)&address, sizeof(address));
}

static int tear_down(void **state)
{
	struct fixture *fixture = *state;

	nio_close(fixture->nio);
	close(fixture->peer);
	batch_fini(&fixture->batch);
	return 0;
}

/* Sends @bytes, where they are more than SIZE as a train of datagrams of that size. */
static void send_bytes(const struct fixture *fixture, size_t bytes)
{
	static const char data[64 * SIZE];
	const int segment = bytes > SIZE ? SIZE : 0;

	assert_int_equal(setsockopt(fixture->peer, SOL_UDP, UDP_SEGMENT, &segment,
				    sizeof(segment)),
			 0);
	assert_int_equal(send(fixture->peer, data, bytes, 0), bytes);
}

static void singles_stream_when_there_are_some_but_not_many(void **state)
{
	static const struct {
		unsigned datagrams;
		bool streaming;
	} rows[] = { { 1, false }, { 3, false }, { 4, true }, { 31, true }, { 32, false } };
	struct fixture *fixture = *state;

	for (size_t i = 0; i < COUNT(rows); i++) {
		for (unsigned n = 0; n < rows[i].datagrams; n++)
			send_bytes(fixture, SIZE);
		batch_clear(&fixture->batch);
		assert_int_equal(fixture->nio->ops->recv(fixture->nio, &fixture->batch), 0);
		assert_int_equal(fixture->batch.count, rows[i].datagrams);
		assert_int_equal(fixture->nio->streaming, rows[i].streaming);
	}
}

static void trains_are_no_stream(void **state)
{
	struct fixture *fixture = *state;

	for (unsigned n = 0; n < 5; n++)
		send_bytes(fixture, 10 * SIZE);
	batch_clear(&fixture->batch);
	assert_int_equal(fixture->nio->ops->recv(fixture->nio, &fixture->batch), 0);
	assert_int_equal(fixture->batch.count, 50);
	assert_false(fixture->nio->streaming);
}

static void nothing_ends_a_stream(void **state)
{
	struct fixture *fixture = *state;

	fixture->nio->streaming = true;
	batch_clear(&fixture->batch);
	assert_int_equal(fixture->nio->ops->recv(fixture->nio, &fixture->batch), 0);
	assert_int_equal(fixture->batch.count, 0);
	assert_false(fixture->nio->streaming);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(singles_stream_when_there_are_some_but_not_many,
						set_up, tear_down),
		cmocka_unit_test_setup_teardown(trains_are_no_stream, set_up, tear_down),
		cmocka_unit_test_setup_teardown(nothing_ends_a_stream, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
