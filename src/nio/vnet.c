/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <config.h>

#include "nio/vnet.h"

static bool exceeds_mtu(const struct frame *frame, uint32_t len,
			const struct vnet_support *support)
{
	/* most are short enough whatever tags they have */
	return support->mtu && len > support->mtu &&
	       len - headers_ethernet_len(frame->data, frame->len) > support->mtu;
}

/* vnet_is_too_long() - whether a super-frame would become frames longer than the MTU
 *
 * The kernel, which drops a single frame that is too long, does not look at those.
 */
bool vnet_is_too_long(const struct frame *frame, const struct vnet_support *support)
{
	struct headers headers;
	uint32_t payload_len;

	if (frame->vnet.gso_type == VIRTIO_NET_HDR_GSO_NONE || !support->mtu ||
	    !headers_parse(frame->data, frame->len, &headers))
		return false;
	payload_len = frame->len - headers.end;
	if (payload_len > frame->vnet.gso_size)
		payload_len = frame->vnet.gso_size;
	return exceeds_mtu(frame, headers.end + payload_len, support);
}

/* vnet_gather() - what to write next to a device: one frame, or several as a super-frame
 * @index: the next frame to send, which is not dropped
 *
 * Return: how many frames of the batch are in @out.
 */
unsigned vnet_gather(const struct batch *batch, unsigned index,
		     const struct vnet_support *support, struct coalesced *out)
{
	const struct frame *frame = &batch->frame[index];

	if (support->tcp && offload_is_wire(frame) &&
	    !exceeds_mtu(frame, frame->len, support) &&
	    !(support->untagged && headers_is_tagged(frame->data, frame->len))) {
		coalesce_run(frame, batch->count - index, support->udp, out);
		return out->frames;
	}
	out->frames = 1;
	out->vnet = frame->vnet;
	out->len = frame->len;
	out->piece[0] = (struct iovec){ frame->data, frame->len };
	out->pieces = 1;
	return 1;
}
