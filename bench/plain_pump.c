/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A plain pump: one receive call and one send call for each packet.
 *
 * The measure for those who have no other ubridge at hand: the same wire format,
 * none of the techniques. A thread for each direction; what can not be sent is
 * lost.
 *
 *   plain_pump [-w FILE] END END [END END]...
 *
 * Each pair of ends is a link. An END is
 *   udp:LPORT:HOST:RPORT   a UDP tunnel (numeric IPv4 host)
 *   tap:NAME               a TAP device, made here
 *   raw:NAME               a packet socket on an interface
 * -w writes each packet to a pcap file before it is sent.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <error.h>
#include <fcntl.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#define PACKET_MAX 65535
#define STACK_BYTES (128 * 1024)

struct direction {
	int from, to;
};

static int capture_fd = -1;
static pthread_mutex_t capture_lock = PTHREAD_MUTEX_INITIALIZER;

static int check(int result, const char *what)
{
	if (result < 0)
		error(EXIT_FAILURE, errno, "%s", what);
	return result;
}

static int open_udp(const char *text)
{
	struct sockaddr_in local = { .sin_family = AF_INET }, remote = local;
	int fd = check(socket(AF_INET, SOCK_DGRAM, 0), "socket");
	unsigned local_port, remote_port;
	char host[64];

	if (sscanf(text, "%u:%63[^:]:%u", &local_port, host, &remote_port) != 3 ||
	    !inet_aton(host, &remote.sin_addr))
		error(EXIT_FAILURE, 0, "udp:%s: not LPORT:HOST:RPORT", text);
	local.sin_port = htons((uint16_t)local_port);
	remote.sin_port = htons((uint16_t)remote_port);
	check(bind(fd, (struct sockaddr *)&local, sizeof(local)), text);
	check(connect(fd, (struct sockaddr *)&remote, sizeof(remote)), text);
	return fd;
}

static int open_tap(const char *name)
{
	struct ifreq request = { .ifr_flags = IFF_TAP | IFF_NO_PI };
	int fd = check(open("/dev/net/tun", O_RDWR), "/dev/net/tun");

	snprintf(request.ifr_name, sizeof(request.ifr_name), "%s", name);
	check(ioctl(fd, TUNSETIFF, &request), name);
	return fd;
}

static int open_raw(const char *name)
{
	const struct sockaddr_ll address = {
		.sll_family = AF_PACKET,
		.sll_protocol = htons(ETH_P_ALL),
		.sll_ifindex = (int)if_nametoindex(name),
	};
	int fd = check(socket(AF_PACKET, SOCK_RAW, 0), "packet socket");

	if (!address.sll_ifindex)
		error(EXIT_FAILURE, errno, "%s", name);
	check(bind(fd, (const struct sockaddr *)&address, sizeof(address)), name);
	return fd;
}

static int open_end(const char *text)
{
	if (!strncmp(text, "udp:", 4))
		return open_udp(text + 4);
	if (!strncmp(text, "tap:", 4))
		return open_tap(text + 4);
	if (!strncmp(text, "raw:", 4))
		return open_raw(text + 4);
	error(EXIT_FAILURE, 0, "%s: no such kind of end", text);
	return -1;
}

static void open_capture(const char *path)
{
	const uint32_t header[6] = { 0xa1b2c3d4, 4u << 16 | 2, 0, 0, PACKET_MAX, 1 };

	capture_fd = check(open(path, O_WRONLY | O_CREAT | O_TRUNC, 0644), path);
	check((int)write(capture_fd, header, sizeof(header)), path);
}

static void capture(void *packet, size_t len)
{
	struct timespec now;
	uint32_t header[4];
	struct iovec piece[2] = { { header, sizeof(header) }, { packet, len } };

	clock_gettime(CLOCK_REALTIME, &now);
	header[0] = (uint32_t)now.tv_sec;
	header[1] = (uint32_t)now.tv_nsec / 1000;
	header[2] = header[3] = (uint32_t)len;
	pthread_mutex_lock(&capture_lock);
	check((int)writev(capture_fd, piece, 2), "capture");
	pthread_mutex_unlock(&capture_lock);
}

static void *pump(void *arg)
{
	const struct direction *direction = arg;
	uint8_t packet[PACKET_MAX];

	for (;;) {
		ssize_t len = read(direction->from, packet, sizeof(packet));

		/* An ICMP error, or a device that is down: neither ends a link. */
		if (len <= 0) {
			usleep(1000);
			continue;
		}
		if (capture_fd >= 0)
			capture(packet, (size_t)len);
		if (write(direction->to, packet, (size_t)len) < 0)
			continue;
	}
	return NULL;
}

static void start(int from, int to)
{
	struct direction *direction = malloc(sizeof(*direction));
	pthread_attr_t attributes;
	pthread_t thread;
	int failure;

	if (!direction)
		error(EXIT_FAILURE, ENOMEM, "thread");
	*direction = (struct direction){ from, to };
	pthread_attr_init(&attributes);
	pthread_attr_setstacksize(&attributes, STACK_BYTES);
	failure = pthread_create(&thread, &attributes, pump, direction);
	if (failure)
		error(EXIT_FAILURE, failure, "thread");
}

int main(int argc, char **argv)
{
	int option;

	while ((option = getopt(argc, argv, "w:")) != -1) {
		if (option != 'w')
			return EXIT_FAILURE;
		open_capture(optarg);
	}
	if ((argc - optind) % 2)
		error(EXIT_FAILURE, 0, "a link has two ends");
	for (int i = optind; i < argc; i += 2) {
		int left = open_end(argv[i]), right = open_end(argv[i + 1]);

		start(left, right);
		start(right, left);
	}
	printf("ready\n");
	fflush(stdout);
	pause();
	return EXIT_SUCCESS;
}
