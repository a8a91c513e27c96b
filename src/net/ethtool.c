/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Offload features, over the generic netlink family "ethtool". */
#include <config.h>

#include "net/netdev.h"

#include <errno.h>
#include <linux/ethtool_netlink.h>
#include <linux/genetlink.h>
#include <netlink/attr.h>
#include <netlink/msg.h>
#include <stddef.h>
#include <string.h>

#include "base/kernel.h"
#include "net/netlink.h"

/* Features that are switched together; NULL ends the list. */
struct features {
	const char *name[5];
};

/* What "ethtool -K tx" switches on an Ethernet interface. */
static const struct features tx_checksum = { {
	"tx-checksum-ipv4",
	"tx-checksum-ip-generic",
	"tx-checksum-ipv6",
	"tx-checksum-sctp",
} };

static const struct features gro = { { "rx-gro" } };
static const struct features sctp_segmentation = { { "tx-sctp-segmentation" } };
static const struct features udp_segmentation = { { "tx-udp-segmentation" } };

static struct nlattr *inner(struct nlattr *outer, int type)
{
	return outer ? nla_find(nla_data(outer), nla_len(outer), type) : NULL;
}

static struct nl_msg *new_request(int family, uint8_t command)
{
	struct genlmsghdr head = { .cmd = command, .version = 1 };
	struct nl_msg *request = nlmsg_alloc_simple(family, 0);

	if (request && nlmsg_append(request, &head, sizeof(head), NLMSG_ALIGNTO) < 0) {
		nlmsg_free(request);
		return NULL;
	}
	return request;
}

static struct nl_msg *new_family_request(void)
{
	struct nl_msg *request = new_request(GENL_ID_CTRL, CTRL_CMD_GETFAMILY);

	if (!request)
		return NULL;
	NLA_PUT_STRING(request, CTRL_ATTR_FAMILY_NAME, ETHTOOL_GENL_NAME);
	return request;

nla_put_failure:
	nlmsg_free(request);
	return NULL;
}

static struct nl_msg *new_features_request(int family, uint8_t command, int index)
{
	struct nl_msg *request = new_request(family, command);
	struct nlattr *head;

	if (!request)
		return NULL;
	head = nla_nest_start(request, ETHTOOL_A_FEATURES_HEADER);
	if (!head)
		goto nla_put_failure;
	NLA_PUT_U32(request, ETHTOOL_A_HEADER_DEV_INDEX, (uint32_t)index);
	nla_nest_end(request, head);
	return request;

nla_put_failure:
	nlmsg_free(request);
	return NULL;
}

static int put_feature(struct nl_msg *request, const char *feature, bool on)
{
	struct nlattr *bit = nla_nest_start(request, ETHTOOL_A_BITSET_BITS_BIT);

	if (!bit)
		return -1;
	NLA_PUT_STRING(request, ETHTOOL_A_BITSET_BIT_NAME, feature);
	if (on)
		NLA_PUT_FLAG(request, ETHTOOL_A_BITSET_BIT_VALUE);
	return nla_nest_end(request, bit);

nla_put_failure:
	return -1;
}

static struct nl_msg *new_set_request(int family, int index, const struct features *features,
				      bool on)
{
	struct nl_msg *request = new_features_request(family, ETHTOOL_MSG_FEATURES_SET, index);
	struct nlattr *wanted, *bits;

	if (!request)
		return NULL;
	wanted = nla_nest_start(request, ETHTOOL_A_FEATURES_WANTED);
	bits = nla_nest_start(request, ETHTOOL_A_BITSET_BITS);
	if (!wanted || !bits)
		goto failure;
	for (const char *const *name = features->name; *name; name++)
		if (put_feature(request, *name, on) < 0)
			goto failure;
	nla_nest_end(request, bits);
	nla_nest_end(request, wanted);
	return request;

failure:
	nlmsg_free(request);
	return NULL;
}

static void read_family(struct nlmsghdr *reply, void *data)
{
	struct nlattr *id = nlmsg_find_attr(reply, GENL_HDRLEN, CTRL_ATTR_FAMILY_ID);
	int *family = data;

	if (id)
		*family = nla_get_u16(id);
}

struct activity {
	const struct features *features;
	bool any;
};

/* Tells @data, a struct activity, whether any of the features is on. */
static void read_active(struct nlmsghdr *reply, void *data)
{
	struct nlattr *set = nlmsg_find_attr(reply, GENL_HDRLEN, ETHTOOL_A_FEATURES_ACTIVE);
	struct nlattr *bits = inner(set, ETHTOOL_A_BITSET_BITS), *bit;
	struct activity *activity = data;
	int rest;

	if (!bits)
		return;
	nla_for_each_nested(bit, bits, rest) {
		struct nlattr *active = inner(bit, ETHTOOL_A_BITSET_BIT_NAME);

		for (const char *const *name = activity->features->name; active && *name; name++)
			if (!nla_strcmp(active, *name))
				activity->any = true;
	}
}

/* The kernel answers a request for what an interface can not do with success, so the
 * interface is looked at afterwards.
 */
static int set_features(const char *name, const struct features *features, bool on,
			struct err *err)
{
	struct activity activity = { .features = features };
	int index = netdev_index(name, err);
	int ret, family = 0;

	if (index < 0)
		return index;
	ret = netlink_request(NETLINK_GENERIC, new_family_request(), name, read_family, &family,
			      err);
	if (ret)
		return ret;
	ret = netlink_request(NETLINK_GENERIC, new_set_request(family, index, features, on), name,
			      NULL, NULL, err);
	if (ret)
		return ret;
	ret = netlink_request(NETLINK_GENERIC,
			      new_features_request(family, ETHTOOL_MSG_FEATURES_GET, index),
			      name, read_active, &activity, err);
	if (ret)
		return ret;
	return activity.any == on ? 0 : err_sys(err, EOPNOTSUPP, "interface '%s'", name);
}

/* netdev_set_tx_checksum() - let an interface fill in checksums, or have them made before
 *
 * Return: 0, or a negative errno with @err set; -EOPNOTSUPP: the interface can
 * not be switched.
 */
int netdev_set_tx_checksum(const char *name, bool on, struct err *err)
{
	return set_features(name, &tx_checksum, on, err);
}

/* netdev_set_gro() - have the kernel join what an interface receives into super-frames, or not
 *
 * Return: as netdev_set_tx_checksum().
 */
int netdev_set_gro(const char *name, bool on, struct err *err)
{
	return set_features(name, &gro, on, err);
}

/* netdev_limit_segmentation() - have an interface send no super-frames that virtio headers lack
 *
 * A packet socket at the other end of a veth pair loses those: of SCTP always, of UDP before
 * Linux 6.2.
 *
 * Return: as netdev_set_tx_checksum().
 */
int netdev_limit_segmentation(const char *name, struct err *err)
{
	int ret = set_features(name, &sctp_segmentation, false, err);

	if (ret || !kernel_is_before(6, 2))
		return ret;
	return set_features(name, &udp_segmentation, false, err);
}
