/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Fuzz target: arguments of a filter, then a frame for it; or an expression for a NIO.
 *
 * Input: the type and its arguments, with NULs between them; a line feed; the frame.
 * The type "set_pcap_filter" is that command.
 */
#include <config.h>

#include "filter/filter.h"

#include <netdb.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/log.h"
#include "nio/nio_ethernet.h"

#define MAX_WORDS 8
#define MAX_TEXT 256	/* the optimizer's time for long expressions is libpcap's affair */

/* The program's own symbol takes precedence: libpcap's look-ups of host names end here. */
int getaddrinfo(const char *node, const char *service, const struct addrinfo *hints,
		struct addrinfo **result)
{
	(void)node;
	(void)service;
	(void)hints;
	(void)result;
	return EAI_NONAME;
}

static void ignore_line(enum log_stream stream, const char *line)
{
	(void)stream;
	(void)line;
}

static void require(bool holds)
{
	if (!holds)
		abort();
}

/* Cuts @text in place. Return: the number of words. */
static int split(char *text, size_t len, char **word)
{
	char *end = text + len;
	int count = 0;

	for (char *next = text; next <= end && count < MAX_WORDS; next += strlen(next) + 1)
		word[count++] = next;
	return count;
}

/* In a copy without slack, so that a byte read behind its end is found. */
static void run(struct filter_chain *chain, enum filter_dir dir, const uint8_t *data,
		size_t len)
{
	struct filter_verdict verdict;
	uint8_t *copy = malloc(len);

	require(copy || !len);
	if (len)
		memcpy(copy, data, len);
	filter_chain_run(chain, dir, copy, (uint32_t)len, &verdict);
	require(!verdict.dropped_by || verdict.dropped_by == chain->first);
	require(verdict.dropped_by || !filter_drops_all(chain->first));
	require(chain->delays || !verdict.delay_ns);
	if (len >= 36)
		require(!memcmp(copy, data, 14));
	free(copy);
}

static void run_both(struct filter *filter, const uint8_t *data, size_t len)
{
	struct filter_counters counters;
	struct filter_chain chain;

	filter_chain_init(&chain, 1, 1);
	require(filter_chain_add(&chain, filter));
	for (unsigned round = 0; round < 3; round++) {
		run(&chain, DIR_FROM_SOURCE, data, len);
		run(&chain, DIR_FROM_DESTINATION, data, len);
	}
	filter_counters(filter, &counters);
	require(counters.seen == 6);
	require(counters.dropped + counters.delayed + counters.changed <= 6);
	filter_free(filter_chain_remove(&chain, filter_name(filter)));
	require(!chain.first);
}

/* The kernel checks what libpcap has compiled; any socket takes it. */
static void set_filter(const char *expression)
{
	static char desc[] = "no-such-device";
	static struct nio nio = { .fd = -1, .desc = desc };
	struct err err;
	int result;

	if (nio.fd < 0)
		nio.fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	require(nio.fd >= 0);
	result = nio_ethernet_set_filter(&nio, expression, true, &err);
	require(!result || (result == -err.code && err.code > 0 && err.text[0]));
	require(!nio_ethernet_set_filter(&nio, NULL, true, &err));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const uint8_t *frame = size ? memchr(data, '\n', size) : NULL;
	size_t len = frame ? (size_t)(frame - data) : size;
	char text[MAX_TEXT + 1], *word[MAX_WORDS];
	struct filter *filter;
	struct err err;
	int words;

	log_set_sink(ignore_line);
	if (len > MAX_TEXT)
		return 0;
	if (len)
		memcpy(text, data, len);
	text[len] = '\0';
	words = split(text, len, word);
	if (!strcmp(word[0], "set_pcap_filter")) {
		set_filter(words > 1 ? word[1] : NULL);
		return 0;
	}
	filter = filter_new("f", word[0], words - 1, word + 1, &err);
	if (!filter)
		require(err.code > 0 && err.text[0]);
	else if (frame)
		run_both(filter, frame + 1, size - len - 1);
	else
		filter_free(filter);
	return 0;
}
