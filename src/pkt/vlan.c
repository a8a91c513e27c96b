/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <config.h>

#include "pkt/vlan.h"

#include <net/ethernet.h>
#include <string.h>

#include "pkt/headers.h"

#define TAG_LEN 4

/* vlan_push() - put a tag in front of the EtherType
 *
 * @frame: with 4 bytes of headroom before its data; the addresses move there
 * @tpid: usually 0x8100
 * @tci: priority and VLAN number
 *
 * A frame without a whole Ethernet header is left alone.
 */
void vlan_push(struct frame *frame, uint16_t tpid, uint16_t tci)
{
	uint8_t *data = frame->data - TAG_LEN;

	if (frame->len < ETHER_HDR_LEN)
		return;
	memmove(data, frame->data, 2 * ETHER_ADDR_LEN);
	store16(data + 2 * ETHER_ADDR_LEN, tpid);
	store16(data + 2 * ETHER_ADDR_LEN + 2, tci);
	frame->data = data;
	frame->len += TAG_LEN;
	if (frame->vnet.flags & VIRTIO_NET_HDR_F_NEEDS_CSUM)
		frame->vnet.csum_start += TAG_LEN;
	if (frame->vnet.hdr_len)
		frame->vnet.hdr_len += TAG_LEN;
}
