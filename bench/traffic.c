/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Plain UDP peers for benchmarks. Each prints one line of numbers and ends by itself.
 *
 *   traffic blast LPORT HOST RPORT SIZE SECONDS   send as fast as possible: packets
 *   traffic sink LPORT [MAP]                      count: packets, seconds from first to last
 *   traffic echo LPORT HOST RPORT                 send everything back, until killed
 *   traffic ping LPORT HOST RPORT SECONDS
 *           round trips: count, lost, median, p99, worst (us)
 *   traffic oneway LPORT RPORT SINKPORT GAP COUNT WAIT
 *           one way over loopback, a packet every GAP us, WAIT ms for the last one:
 *           count, lost, median, p99, worst (us)
 *   traffic check PCAP MAP                        records in the file, packets of MAP not in it
 *
 * Packets are numbered. MAP is a file with a bit for each number that arrived.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <error.h>
#include <poll.h>
#include <sched.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define NSEC 1000000000ull
#define SIZE_MAX_UDP 65507
#define BATCH 64
#define SLOT 2048
#define SAMPLES 4000000u
#define NUMBERS (64u << 20)		/* packets that a map can tell apart */
#define MAP_BYTES (NUMBERS / 8)
#define SILENCE_MS 300			/* the end of a stream */
#define PATIENCE_MS 5000		/* for its first packet */

/* Looks like an Ethernet frame of an experimental type, so that captures are readable. */
struct packet {
	uint8_t destination[6], source[6];
	uint8_t type[2];
	uint8_t pad[2];
	uint64_t number;
	uint64_t sent_at;
};

static uint8_t buffer[SIZE_MAX_UDP] __attribute__((aligned(16)));
static uint8_t map[MAP_BYTES];
static uint32_t sample[SAMPLES];	/* nanoseconds / 10 */

static uint64_t now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return (uint64_t)time.tv_sec * NSEC + (uint64_t)time.tv_nsec;
}

static long number_of(const char *text)
{
	char *end;
	long value = strtol(text, &end, 10);

	if (*end || end == text || value < 0)
		error(EXIT_FAILURE, 0, "'%s' is no number", text);
	return value;
}

/* A socket on @local; connected when there is a @host. */
static int open_socket(const char *local, const char *host, const char *remote)
{
	struct sockaddr_in address = { .sin_family = AF_INET };
	int fd = socket(AF_INET, SOCK_DGRAM, 0), bytes = 8 << 20;

	address.sin_port = htons((uint16_t)number_of(local));
	if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0)
		error(EXIT_FAILURE, errno, "port %s", local);
	setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &bytes, sizeof(bytes));
	if (!host)
		return fd;
	address.sin_port = htons((uint16_t)number_of(remote));
	if (!inet_aton(host, &address.sin_addr) ||
	    connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0)
		error(EXIT_FAILURE, errno, "%s", host);
	return fd;
}

static bool readable(int fd, int timeout_ms)
{
	struct pollfd entry = { .fd = fd, .events = POLLIN };

	return poll(&entry, 1, timeout_ms) > 0;
}

static void packet_init(void)
{
	static const struct packet first = {
		.destination = { 2, 0, 0, 0, 0, 1 },
		.source = { 2, 0, 0, 0, 0, 2 },
		.type = { 0x88, 0xb5 },
	};

	memcpy(buffer, &first, sizeof(first));
}

static void packet_stamp(uint64_t number)
{
	struct packet *packet = (struct packet *)(void *)buffer;

	packet->number = number;
	packet->sent_at = now();
}

/* ---- rates */

static void blast(char **arg)
{
	int fd = open_socket(arg[0], arg[1], arg[2]);
	size_t size = (size_t)number_of(arg[3]);
	uint64_t end = now() + (uint64_t)(strtod(arg[4], NULL) * NSEC), sent = 0;
	struct packet *packet = (struct packet *)(void *)buffer;

	if (size < sizeof(*packet) || size > sizeof(buffer))
		error(EXIT_FAILURE, 0, "packets have %zu to %zu bytes", sizeof(*packet),
		      sizeof(buffer));
	packet_init();
	while (sent % 64 || now() < end) {
		packet->number = sent++;
		if (send(fd, buffer, size, 0) < 0 && errno == EMSGSIZE)
			error(EXIT_FAILURE, errno, "send");
	}
	printf("%llu\n", (unsigned long long)sent);
}

static void note(const uint8_t *data, size_t len)
{
	const struct packet *packet = (const struct packet *)(const void *)data;

	if (len >= sizeof(*packet) && packet->number < NUMBERS)
		map[packet->number / 8] |= (uint8_t)(1 << packet->number % 8);
}

static void write_map(const char *path)
{
	FILE *file = fopen(path, "wb");

	if (!file || fwrite(map, sizeof(map), 1, file) != 1 || fclose(file))
		error(EXIT_FAILURE, errno, "%s", path);
}

static void sink(char **arg)
{
	static uint8_t slot[BATCH][SLOT] __attribute__((aligned(16)));
	int fd = open_socket(arg[0], NULL, NULL), wait = PATIENCE_MS;
	struct mmsghdr message[BATCH] = { 0 };
	uint64_t count = 0, first = 0, last = 0;
	struct iovec piece[BATCH];

	for (unsigned i = 0; i < BATCH; i++) {
		piece[i] = (struct iovec){ slot[i], SLOT };
		message[i].msg_hdr = (struct msghdr){ .msg_iov = &piece[i], .msg_iovlen = 1 };
	}
	while (readable(fd, wait)) {
		int got = recvmmsg(fd, message, BATCH, MSG_DONTWAIT, NULL);

		if (got <= 0)
			continue;
		last = now();
		if (!count)
			first = last;
		count += (uint64_t)got;
		wait = SILENCE_MS;
		for (int i = 0; arg[1] && i < got; i++)
			note(slot[i], message[i].msg_len);
	}
	if (arg[1])
		write_map(arg[1]);
	printf("%llu %.6f\n", (unsigned long long)count, (double)(last - first) / NSEC);
}

/* ---- times */

/* On a loaded machine the scheduler would be measured, not the bridge. */
static void take_precedence(void)
{
	const struct sched_param first = { .sched_priority = 1 };

	sched_setscheduler(0, SCHED_FIFO, &first);
	prctl(PR_SET_TIMERSLACK, 1);
}

static int compare(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return (x > y) - (x < y);
}

static void print_samples(unsigned count, unsigned lost)
{
	if (!count) {
		printf("0 %u 0 0 0\n", lost);
		return;
	}
	qsort(sample, count, sizeof(*sample), compare);
	printf("%u %u %.2f %.2f %.2f\n", count, lost, sample[count / 2] / 100.0,
	       sample[(uint64_t)count * 99 / 100] / 100.0, sample[count - 1] / 100.0);
}

/* Takes what is there; tells the age of each packet. */
static void take(int fd, unsigned *count)
{
	const struct packet *packet = (const struct packet *)(const void *)buffer;
	uint8_t kept[sizeof(*packet)];

	memcpy(kept, buffer, sizeof(kept));
	while (*count < SAMPLES && recv(fd, buffer, sizeof(buffer), MSG_DONTWAIT) > 0)
		sample[(*count)++] = (uint32_t)((now() - packet->sent_at) / 10);
	memcpy(buffer, kept, sizeof(kept));
}

static void echo(char **arg)
{
	int fd = open_socket(arg[0], arg[1], arg[2]);

	take_precedence();
	for (;;) {
		ssize_t len = recv(fd, buffer, sizeof(buffer), 0);

		if (len > 0 && send(fd, buffer, (size_t)len, 0) < 0)
			continue;
	}
}

static void ping(char **arg)
{
	int fd = open_socket(arg[0], arg[1], arg[2]);
	uint64_t end = now() + (uint64_t)(strtod(arg[3], NULL) * NSEC);
	unsigned count = 0, lost = 0;

	take_precedence();
	packet_init();
	while (now() < end && count < SAMPLES) {
		packet_stamp(count);
		if (send(fd, buffer, 64, 0) < 0 || !readable(fd, 200))
			lost++;
		else
			take(fd, &count);
	}
	print_samples(count, lost);
}

static void oneway(char **arg)
{
	int fd = open_socket(arg[0], "127.0.0.1", arg[1]);
	int sink_fd = open_socket(arg[2], NULL, NULL);
	uint64_t gap = (uint64_t)number_of(arg[3]) * 1000, next = now();
	unsigned packets = (unsigned)number_of(arg[4]), sent = 0, count = 0;
	uint64_t end = next + packets * gap + (uint64_t)number_of(arg[5]) * 1000000;

	take_precedence();
	packet_init();
	while (count < packets && now() < end) {
		struct pollfd entry = { .fd = sink_fd, .events = POLLIN };
		uint64_t time = now(), until = sent < packets ? next : end;
		struct timespec left = {
			.tv_sec = until > time ? (time_t)((until - time) / NSEC) : 0,
			.tv_nsec = until > time ? (long)((until - time) % NSEC) : 0,
		};

		if (ppoll(&entry, 1, &left, NULL) > 0)
			take(sink_fd, &count);
		if (sent < packets && now() >= next) {
			packet_stamp(sent++);
			if (send(fd, buffer, 64, 0) < 0)
				continue;
			next += gap;
		}
	}
	print_samples(count, packets - count);
}

/* ---- captures */

static void forget(const uint8_t *data, size_t len)
{
	const struct packet *packet = (const struct packet *)(const void *)data;

	if (len >= sizeof(*packet) && packet->number < NUMBERS)
		map[packet->number / 8] &= (uint8_t)~(1 << packet->number % 8);
}

static void check(char **arg)
{
	FILE *file = fopen(arg[0], "rb"), *numbers = fopen(arg[1], "rb");
	uint64_t records = 0, missing = 0;
	uint32_t header[6];

	if (!file || !numbers || fread(map, sizeof(map), 1, numbers) != 1 ||
	    fread(header, sizeof(header), 1, file) != 1)
		error(EXIT_FAILURE, errno, "%s", arg[0]);
	while (fread(header, 16, 1, file) == 1) {
		if (header[2] > sizeof(buffer) || fread(buffer, header[2], 1, file) != 1)
			error(EXIT_FAILURE, 0, "%s: broken at record %llu", arg[0],
			      (unsigned long long)records);
		forget(buffer, header[2]);
		records++;
	}
	for (size_t i = 0; i < sizeof(map); i++)
		missing += (uint64_t)__builtin_popcount(map[i]);
	printf("%llu %llu\n", (unsigned long long)records, (unsigned long long)missing);
}

struct command {
	const char *name;
	int min, max;
	void (*run)(char **arg);
};

int main(int argc, char **argv)
{
	static const struct command commands[] = {
		{ "blast", 5, 5, blast }, { "sink", 1, 2, sink },	{ "echo", 3, 3, echo },
		{ "ping", 4, 4, ping },	  { "oneway", 6, 6, oneway },	{ "check", 2, 2, check },
	};

	for (size_t i = 0; argc > 1 && i < sizeof(commands) / sizeof(*commands); i++) {
		const struct command *command = &commands[i];

		if (strcmp(argv[1], command->name))
			continue;
		if (argc - 2 < command->min || argc - 2 > command->max)
			break;
		command->run(argv + 2);
		return fflush(stdout) ? EXIT_FAILURE : EXIT_SUCCESS;
	}
	error(EXIT_FAILURE, 0, "see the head of traffic.c for its arguments");
}
