/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Theory of operation
 *
 * libpcap judges the interface (it must exist, be up and carry Ethernet) and
 * compiles filters; the frames themselves go through the same packet socket as
 * those of Linux raw NIOs, which libpcap would open as well, but without
 * offloads and batches.
 *
 * A filter runs in the kernel, so frames that do not match cost no wake-up. It
 * is compiled on a handle that is open on the interface: only then libpcap
 * knows that the kernel has taken VLAN tags out of the frames and where it
 * keeps them.
 */
#include <config.h>

#include "nio/nio_ethernet.h"

#include <errno.h>
#include <linux/filter.h>
#include <pcap/pcap.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/log.h"
#include "nio/packet.h"

/* What a matching filter answers is the length to keep: more than any frame has. */
#define SNAPLEN 262144

static const struct nio_ops ethernet_ops = {
	.kind = "ethernet",
	.recv = packet_recv,
	.send = packet_send,
	.revive = packet_revive,
	.close = packet_close,
};

static pcap_t *open_handle(const char *interface, struct err *err)
{
	char reason[PCAP_ERRBUF_SIZE] = "";
	pcap_t *handle = pcap_open_live(interface, SNAPLEN, 0, 1, reason);

	if (!handle)
		err_set(err, EIO, "%s", reason);
	return handle;
}

/* nio_ethernet_open() - bridge an Ethernet interface that is up
 *
 * Return: the NIO, or NULL with @err set.
 */
struct nio *nio_ethernet_open(const char *interface, struct err *err)
{
	pcap_t *handle = open_handle(interface, err);
	struct nio_packet *self = NULL;

	if (!handle) {
		err_wrap(err, "ethernet");
		return NULL;
	}
	if (pcap_datalink(handle) != DLT_EN10MB)
		err_set(err, EINVAL, "ethernet: %s does not carry Ethernet frames", interface);
	else if (!(self = calloc(1, sizeof(*self))))
		err_sys(err, ENOMEM, "ethernet");
	else if (packet_open(self, &ethernet_ops, interface, err) < 0) {
		err_wrap(err, "ethernet");
		free(self);
		self = NULL;
	}
	pcap_close(handle);
	if (!self)
		return NULL;
	log_info("Ethernet interface %s", interface);
	return &self->nio;
}

/* nio_is_ethernet() - whether nio_ethernet_set_filter() may be used on a NIO */
bool nio_is_ethernet(const struct nio *nio)
{
	return nio->ops == &ethernet_ops;
}

static int attach(int fd, const struct bpf_program *program, struct err *err)
{
	/* libpcap's instructions have the kernel's layout */
	const struct sock_fprog kernel = {
		.len = (unsigned short)program->bf_len,
		.filter = (struct sock_filter *)program->bf_insns,
	};

	if (setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &kernel, sizeof(kernel)) < 0)
		return err_sys(err, errno, "SO_ATTACH_FILTER");
	return 0;
}

/* nio_ethernet_set_filter() - receive only what matches @expression; NULL: everything
 * @in_use: a link runs with it: what was received before stays. Otherwise it was not
 *	measured by the filter, and is forgotten.
 *
 * The control thread may do this while a worker uses the NIO. Return: 0, or a negative
 * errno with @err set and the old filter in force.
 */
int nio_ethernet_set_filter(struct nio *nio, const char *expression, bool in_use,
			    struct err *err)
{
	const int unused = 0;
	struct bpf_program program;
	pcap_t *handle;
	int result;

	if (!expression) {
		if (setsockopt(nio->fd, SOL_SOCKET, SO_DETACH_FILTER, &unused, sizeof(unused)) < 0 &&
		    errno != ENOENT)
			return err_sys(err, errno, "SO_DETACH_FILTER");
		return 0;
	}
	/* While the interface is down only expressions about VLANs miss something. */
	handle = open_handle(nio->desc, err);
	if (!handle)
		handle = pcap_open_dead(DLT_EN10MB, SNAPLEN);
	if (!handle)
		return err_sys(err, ENOMEM, "libpcap");
	if (pcap_compile(handle, &program, expression, 1, PCAP_NETMASK_UNKNOWN) < 0) {
		result = err_set(err, EINVAL, "Cannot compile filter '%.600s': syntax error: %s",
				 expression, pcap_geterr(handle));
	} else {
		result = attach(nio->fd, &program, err);
		pcap_freecode(&program);
		if (!result && !in_use)
			packet_drain(nio->fd);
	}
	pcap_close(handle);
	return result;
}

/* nio_ethernet_list_devices() - the devices that libpcap knows, a line each */
int nio_ethernet_list_devices(FILE *out, struct err *err)
{
	char reason[PCAP_ERRBUF_SIZE];
	pcap_if_t *devices;

	if (pcap_findalldevs(&devices, reason) < 0)
		return err_set(err, EIO, "%s", reason);
	for (const pcap_if_t *device = devices; device; device = device->next)
		fprintf(out, "  %s => %s\n", device->name,
			device->description ? device->description : "no description");
	pcap_freealldevs(devices);
	return 0;
}
