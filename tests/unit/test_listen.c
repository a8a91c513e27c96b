/* SPDX-License-Identifier: GPL-3.0-or-later */
/* ctl/listen: the forms of -H, and what is opened for them */
#include <config.h>

#include "ctl/listen.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#define COUNT(rows) (sizeof(rows) / sizeof((rows)[0]))

static void forms(void **state)
{
	static const struct {
		const char *text, *host;
		uint16_t port;		/* 0: refused */
	} rows[] = {
		{ "4302", "", 4302 },
		{ ":4302", "", 4302 },
		{ "", "", LISTEN_PORT_DEFAULT },
		{ ":", "", LISTEN_PORT_DEFAULT },
		{ "0", "", LISTEN_PORT_DEFAULT },
		{ ":0", "", LISTEN_PORT_DEFAULT },
		{ "65535", "", 65535 },
		{ "127.0.0.1:4302", "127.0.0.1", 4302 },
		{ "127.0.0.1:", "127.0.0.1", LISTEN_PORT_DEFAULT },
		{ "0.0.0.0:1", "0.0.0.0", 1 },
		{ "localhost:4302", "localhost", 4302 },
		{ "::1:4302", "::1", 4302 },
		{ "[::1]:4302", "::1", 4302 },
		{ "[::]:4302", "::", 4302 },
		{ ":::4302", "::", 4302 },
		{ "fe80::1%lo:7", "fe80::1%lo", 7 },
		{ "[]:7", "", 7 },
		{ "[::1:7", "[::1", 7 },
		{ "65536", NULL, 0 },
		{ "-1", NULL, 0 },
		{ "abc", NULL, 0 },
		{ "4302 ", NULL, 0 },
		{ "0x10", NULL, 0 },
		{ "127.0.0.1", NULL, 0 },
		{ "127.0.0.1:abc", NULL, 0 },
		{ "127.0.0.1:70000", NULL, 0 },
		{ "[::1]", NULL, 0 },
		{ "localhost", NULL, 0 },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct listen_spec spec;
		struct err err = { 0 };
		int result = listen_parse(&spec, rows[i].text, &err);

		print_message("'%s'\n", rows[i].text);
		if (!rows[i].port) {
			assert_int_equal(result, -EINVAL);
			assert_int_equal(err.code, EINVAL);
			assert_true(*err.text);
			continue;
		}
		assert_int_equal(result, 0);
		assert_string_equal(spec.host, rows[i].host);
		assert_int_equal(spec.port, rows[i].port);
	}
}

static void host_of_any_length(void **state)
{
	char text[400];
	struct listen_spec spec;
	struct err err;

	(void)state;
	for (size_t len = 1; len < sizeof(text) - 3; len++) {
		memset(text, 'h', len);
		strcpy(text + len, ":1");
		if (len < sizeof(spec.host)) {
			assert_int_equal(listen_parse(&spec, text, &err), 0);
			assert_int_equal(strlen(spec.host), len);
		} else {
			assert_int_equal(listen_parse(&spec, text, &err), -EINVAL);
		}
	}
}

static struct listen_spec on(const char *host, uint16_t port)
{
	struct listen_spec spec = { .port = port };

	strcpy(spec.host, host);
	return spec;
}

/* A port that was free a moment ago. */
static uint16_t free_port(void)
{
	struct sockaddr_in address = { .sin_family = AF_INET };
	socklen_t len = sizeof(address);
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	assert_int_equal(bind(fd, (struct sockaddr *)&address, len), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &len), 0);
	close(fd);
	return ntohs(address.sin_port);
}

static void without_an_address_on_loopback_only(void **state)
{
	struct listen_spec spec = on("", free_port());
	struct sockaddr_in address;
	socklen_t len = sizeof(address);
	int fds[LISTEN_SOCKETS_MAX];
	struct err err;
	size_t count;

	(void)state;
	assert_int_equal(listen_open(&spec, fds, &count, &err), 0);
	assert_int_equal(count, 1);
	assert_int_equal(getsockname(fds[0], (struct sockaddr *)&address, &len), 0);
	assert_int_equal(address.sin_family, AF_INET);
	assert_int_equal(ntohl(address.sin_addr.s_addr), INADDR_LOOPBACK);
	assert_int_equal(ntohs(address.sin_port), spec.port);
	close(fds[0]);
}

static void a_taken_port_is_an_error(void **state)
{
	struct listen_spec spec = on("127.0.0.1", free_port());
	int fds[LISTEN_SOCKETS_MAX], more[LISTEN_SOCKETS_MAX];
	struct err err;
	size_t count;

	(void)state;
	assert_int_equal(listen_open(&spec, fds, &count, &err), 0);
	assert_int_equal(listen_open(&spec, more, &count, &err), -EADDRINUSE);
	assert_int_equal(count, 0);
	assert_non_null(strstr(err.text, "127.0.0.1 port"));
	assert_non_null(strstr(err.text, "Address already in use"));
	close(fds[0]);
}

static void an_address_of_another_host_is_an_error(void **state)
{
	struct listen_spec spec = on("203.0.113.77", free_port());
	int fds[LISTEN_SOCKETS_MAX];
	struct err err;
	size_t count;

	(void)state;
	assert_int_equal(listen_open(&spec, fds, &count, &err), -EADDRNOTAVAIL);
	assert_int_equal(count, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(forms),
		cmocka_unit_test(host_of_any_length),
		cmocka_unit_test(without_an_address_on_loopback_only),
		cmocka_unit_test(a_taken_port_is_an_error),
		cmocka_unit_test(an_address_of_another_host_is_an_error),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
