/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Virtio headers for frames that the kernel hands over without them. */
#include <config.h>

#include "pkt/offload.h"

#include <netinet/in.h>
#include <stddef.h>

#include "pkt/checksum.h"

#define SCTP_CHECKSUM 8

/* An open checksum holds the sum of the pseudo header. So anything else is no such
 * field: that of a tunnel, say, where the one within is open.
 */
static bool is_open(const struct frame *frame, const struct headers *headers)
{
	uint16_t pseudo =
		checksum_fold(headers_pseudo_sum(frame->data, headers, frame->len));

	return load_raw16(frame->data + headers_checksum_at(headers)) == pseudo;
}

static void open_checksum(struct frame *frame, uint32_t start, uint32_t offset)
{
	frame->vnet.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM;
	frame->vnet.csum_start = (uint16_t)start;
	frame->vnet.csum_offset = (uint16_t)offset;
}

/* offload_infer() - what the virtio header of a frame would have said
 *
 * @frame: as a device gave it away, with nothing in its virtio header yet
 * @mtu: of that device
 * @checksum_open: the kernel says that the checksum is not filled in
 *
 * TCP that is longer than the MTU must be an aggregate. Its segment size is not
 * known and assumed to be what the MTU allows, which may be more than the sender
 * wants. UDP datagrams keep their bounds, so they are never cut.
 */
void offload_infer(struct frame *frame, uint32_t mtu, bool checksum_open)
{
	struct headers headers;
	uint32_t header_len, ethernet_len;

	if (!headers_parse(frame->data, frame->len, &headers)) {
		if (checksum_open && headers_parse_network(frame->data, frame->len, &headers) &&
		    headers.protocol == IPPROTO_SCTP)
			open_checksum(frame, headers.l4, SCTP_CHECKSUM);
		return;
	}
	if (checksum_open && is_open(frame, &headers))
		open_checksum(frame, headers.l4, headers_checksum_at(&headers) - headers.l4);
	ethernet_len = headers_ethernet_len(frame->data, frame->len);
	header_len = headers.end - ethernet_len;
	if (headers.protocol != IPPROTO_TCP || frame->len - ethernet_len <= mtu ||
	    header_len >= mtu)
		return;
	frame->vnet.gso_type = headers.version == 4 ? VIRTIO_NET_HDR_GSO_TCPV4 :
						      VIRTIO_NET_HDR_GSO_TCPV6;
	frame->vnet.gso_size = (uint16_t)(mtu - header_len);
	frame->vnet.hdr_len = headers.end;
}
