/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <config.h>

#include "nio/vnet.h"

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
