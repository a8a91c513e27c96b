/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <config.h>

#include "net/netlink.h"

#include <errno.h>
#include <netlink/errno.h>
#include <netlink/msg.h>
#include <netlink/netlink.h>
#include <netlink/socket.h>
#include <stdbool.h>

struct exchange {
	netlink_reader *reader;
	void *data;
	bool done;		/* the kernel has given its verdict */
	int code;		/* which is this positive errno, or 0 */
};

static int on_reply(struct nl_msg *reply, void *data)
{
	struct exchange *exchange = data;

	if (exchange->reader)
		exchange->reader(nlmsg_hdr(reply), exchange->data);
	return NL_OK;
}

static int on_ack(struct nl_msg *ack, void *data)
{
	struct exchange *exchange = data;

	(void)ack;
	exchange->done = true;
	return NL_STOP;
}

static int on_error(struct sockaddr_nl *from, struct nlmsgerr *answer, void *data)
{
	struct exchange *exchange = data;

	(void)from;
	exchange->done = true;
	exchange->code = -answer->error;
	return NL_STOP;
}

/* Return: 0 when the kernel has answered, whatever it said, or a code of libnl. */
static int converse(struct nl_sock *sock, int protocol, struct nl_msg *request,
		    struct exchange *exchange)
{
	int ret;

	nl_socket_modify_cb(sock, NL_CB_VALID, NL_CB_CUSTOM, on_reply, exchange);
	nl_socket_modify_cb(sock, NL_CB_ACK, NL_CB_CUSTOM, on_ack, exchange);
	nl_socket_modify_cb(sock, NL_CB_FINISH, NL_CB_CUSTOM, on_ack, exchange);
	nl_socket_modify_err_cb(sock, NL_CB_CUSTOM, on_error, exchange);
	ret = nl_connect(sock, protocol);
	if (ret == 0)
		ret = nl_send_auto(sock, request);
	while (ret >= 0 && !exchange->done)
		ret = nl_recvmsgs_default(sock);
	return exchange->done ? 0 : ret;
}

/* netlink_request() - send a request and wait until the kernel has carried it out
 * @protocol: NETLINK_ROUTE or NETLINK_GENERIC
 * @request: freed in any case; NULL, a message that could not be built, is -ENOMEM
 * @interface: what the request is about, for the text of an error
 * @reader: called for each message of the answer; NULL if none is of interest
 * @data: for @reader
 *
 * Return: 0, or a negative errno with @err set: the kernel's own number, or
 * -ENOMEM or -EIO when the kernel was not reached.
 */
int netlink_request(int protocol, struct nl_msg *request, const char *interface,
		    netlink_reader *reader, void *data, struct err *err)
{
	struct exchange exchange = { .reader = reader, .data = data };
	struct nl_sock *sock = nl_socket_alloc();
	int ret = -NLE_NOMEM;

	if (sock && request)
		ret = converse(sock, protocol, request, &exchange);
	nlmsg_free(request);
	nl_socket_free(sock);
	if (ret == -NLE_NOMEM)
		return err_sys(err, ENOMEM, "interface '%s'", interface);
	if (ret < 0)
		return err_set(err, EIO, "interface '%s': %s", interface, nl_geterror(ret));
	if (exchange.code)
		return err_sys(err, exchange.code, "interface '%s'", interface);
	return 0;
}
