/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Theory of operation
 *
 * The control thread serves all connections from one loop. A connection has
 * bytes that came in and bytes that have to go out. Complete lines are carried
 * out in order, one after the other: while a request is pending, or while the
 * client leaves too much of its replies unread, its further lines wait, and
 * after a while it can send no more. Other connections do not notice.
 *
 * Bridges do not depend on connections: what a client made stays when it goes.
 */
#include <config.h>

#include "ctl/server.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/log.h"
#include "ctl/dispatch.h"
#include "ctl/listen.h"

#define LINE_MAX_BYTES (64 * 1024)
#define READ_BYTES (16 * 1024)

/* A client that leaves this much unread is not served until it reads. */
#define UNREAD_MAX (256 * 1024)

/* When there are no descriptors left, new clients are looked at this much later. */
#define ACCEPT_PAUSE (100 * NSEC_PER_MSEC)

struct conn {
	struct loop_source source;
	struct conn *next, **place;
	struct buf in, out;
	struct request *pending;
	bool discarding;	/* a line that was too long has not ended yet */
	bool peer_done;		/* it will send no more */
	bool closing;		/* no more commands, and the end when all is sent */
};

struct listener {
	struct loop_source source;
};

static struct loop *server_loop;
static struct listener listeners[LISTEN_SOCKETS_MAX];
static size_t listener_count;
static struct loop_timer accept_again;
static struct conn *conns;

static void serve(struct conn *conn);

/* ---- requests */

static void request_free(struct request *request)
{
	buf_free(&request->reply);
	free(request->words);
	free(request->line);
	free(request);
}

static void deliver(struct conn *conn, struct request *request)
{
	if (request->reply.failed) {
		static const char sorry[] = "215-out of memory\r\n";

		buf_append(&conn->out, sorry, sizeof(sorry) - 1);
		return;
	}
	buf_append(&conn->out, request->reply.data, request->reply.len);
}

/* A pending request has its reply; its client may have gone meanwhile. */
static void finish_pending(struct request *request)
{
	struct conn *conn = request->owner;

	if (conn) {
		conn->pending = NULL;
		deliver(conn, request);
	}
	request_free(request);
	if (conn)
		serve(conn);
}

static void carry_out(struct conn *conn, const char *line, size_t len)
{
	struct request *request = calloc(1, sizeof(*request));

	if (!request || !(request->line = malloc(len + 1))) {
		free(request);
		conn->closing = true;
		return;
	}
	memcpy(request->line, line, len);
	request->line[len] = '\0';
	request->owner = conn;
	request->finished = finish_pending;
	if (dispatch_line(request, request->line, len) == REQUEST_PENDING) {
		conn->pending = request;
		return;
	}
	deliver(conn, request);
	request_free(request);
}

/* server_hang_up() - end the connection of a request when its reply has been sent */
void server_hang_up(struct request *request)
{
	struct conn *conn = request->owner;

	conn->closing = true;
}

/* ---- connections */

static void conn_close(struct conn *conn)
{
	char rest[4096];

	/* Unread bytes would make the kernel reset the connection, replies included. */
	for (int i = 0; i < 64 && recv(conn->source.fd, rest, sizeof(rest), MSG_DONTWAIT) > 0; i++)
		;
	loop_remove(server_loop, &conn->source);
	close(conn->source.fd);
	if (conn->pending)
		conn->pending->owner = NULL;
	*conn->place = conn->next;
	if (conn->next)
		conn->next->place = conn->place;
	buf_free(&conn->in);
	buf_free(&conn->out);
	free(conn);
}

static size_t line_length(const char *line, size_t len)
{
	/* what stands between CR and LF is ignored */
	const char *cr = memchr(line, '\r', len);

	return cr ? (size_t)(cr - line) : len;
}

static void refuse_long_line(struct conn *conn)
{
	static const char text[] = "200-Parse error: line too long\r\n";

	buf_append(&conn->out, text, sizeof(text) - 1);
}

static bool may_run(const struct conn *conn)
{
	return !conn->pending && !conn->closing && conn->out.len < UNREAD_MAX;
}

/* Carries out the complete lines that are there, as far as that may go on now. */
static void run_lines(struct conn *conn)
{
	size_t at = 0;

	while (may_run(conn) && at < conn->in.len) {
		const char *line = conn->in.data + at;
		const char *end = memchr(line, '\n', conn->in.len - at);
		size_t len = end ? (size_t)(end - line) : conn->in.len - at;

		if (!end) {
			if (len > LINE_MAX_BYTES) {
				if (!conn->discarding)
					refuse_long_line(conn);
				conn->discarding = true;
				at += len;
			}
			break;
		}
		if (conn->discarding)
			conn->discarding = false;
		else if (len > LINE_MAX_BYTES)
			refuse_long_line(conn);
		else
			carry_out(conn, line, line_length(line, len));
		at += len + 1;
	}
	if (at)
		buf_consume(&conn->in, at);
}

static bool send_out(struct conn *conn)
{
	while (conn->out.len) {
		ssize_t sent = send(conn->source.fd, conn->out.data, conn->out.len,
				    MSG_DONTWAIT | MSG_NOSIGNAL);

		if (sent < 0)
			return errno == EAGAIN || errno == EINTR;
		buf_consume(&conn->out, (size_t)sent);
	}
	return !conn->out.failed;
}

static bool has_line(const struct conn *conn)
{
	return conn->in.len && memchr(conn->in.data, '\n', conn->in.len);
}

static bool is_over(const struct conn *conn)
{
	if (conn->out.len || conn->pending)
		return false;
	return conn->closing || (conn->peer_done && !has_line(conn));
}

/* Does what can be done for a connection now, and waits for the rest. */
static void serve(struct conn *conn)
{
	uint32_t events = 0;

	do {
		run_lines(conn);
		if (!send_out(conn)) {
			conn_close(conn);
			return;
		}
	} while (may_run(conn) && has_line(conn));
	if (is_over(conn)) {
		conn_close(conn);
		return;
	}
	if (conn->out.len)
		events |= EPOLLOUT;
	if (may_run(conn) && !conn->peer_done)
		events |= EPOLLIN;
	loop_modify(server_loop, &conn->source, events);
}

static void conn_ready(struct loop_source *source, uint32_t events)
{
	struct conn *conn = container_of(source, struct conn, source);

	if (events & (EPOLLERR | EPOLLHUP)) {
		conn_close(conn);
		return;
	}
	if (events & EPOLLIN) {
		ssize_t got;

		if (!buf_reserve(&conn->in, READ_BYTES)) {
			conn_close(conn);
			return;
		}
		got = recv(source->fd, conn->in.data + conn->in.len, READ_BYTES, MSG_DONTWAIT);
		if (got > 0)
			conn->in.len += (size_t)got;
		else if (got == 0)
			conn->peer_done = true;
		else if (errno != EAGAIN && errno != EINTR) {
			conn_close(conn);
			return;
		}
	}
	serve(conn);
}

static void conn_open(int fd)
{
	struct conn *conn = calloc(1, sizeof(*conn));
	struct err err;

	if (!conn) {
		close(fd);
		return;
	}
	conn->source = (struct loop_source){ .fd = fd, .ready = conn_ready };
	if (loop_add(server_loop, &conn->source, EPOLLIN, &err) < 0) {
		close(fd);
		free(conn);
		return;
	}
	conn->next = conns;
	conn->place = &conns;
	if (conns)
		conns->place = &conn->next;
	conns = conn;
}

/* ---- listening */

static void watch_listeners(uint32_t events)
{
	for (size_t i = 0; i < listener_count; i++)
		loop_modify(server_loop, &listeners[i].source, events);
}

static void resume_accepting(struct loop_timer *timer)
{
	(void)timer;
	watch_listeners(EPOLLIN);
}

static void listener_ready(struct loop_source *source, uint32_t events)
{
	int fd = accept4(source->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

	(void)events;
	if (fd >= 0) {
		conn_open(fd);
	} else if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
		/* The client stays in the queue; asking again at once would only burn time. */
		watch_listeners(0);
		loop_timer_set(server_loop, &accept_again, clock_now() + ACCEPT_PAUSE);
	}
}

static void announce(const struct listen_spec *spec)
{
	if (*spec->host)
		log_info("Hypervisor TCP control server started (IP %s port %u).", spec->host,
			 spec->port);
	else
		log_info("Hypervisor TCP control server started (port %u).", spec->port);
}

/* server_listen() - accept clients at [ADDRESS:]PORT, on @loop
 *
 * Return: 0, or a negative errno with @err set.
 */
int server_listen(struct loop *loop, const char *text, struct err *err)
{
	int fds[LISTEN_SOCKETS_MAX];
	struct listen_spec spec;

	server_loop = loop;
	accept_again.expired = resume_accepting;
	if (listen_parse(&spec, text, err) < 0 ||
	    listen_open(&spec, fds, &listener_count, err) < 0)
		return -err->code;
	for (size_t i = 0; i < listener_count; i++) {
		listeners[i].source = (struct loop_source){ .fd = fds[i], .ready = listener_ready };
		if (loop_add(loop, &listeners[i].source, EPOLLIN, err) < 0)
			return -err->code;
	}
	announce(&spec);
	return 0;
}

/* server_close() - end all connections and stop listening */
void server_close(void)
{
	log_info("Hypervisor: closing control sockets.");
	loop_timer_cancel(server_loop, &accept_again);
	while (listener_count) {
		struct loop_source *source = &listeners[--listener_count].source;

		loop_remove(server_loop, source);
		close(source->fd);
	}
	log_info("Hypervisor: closing remote client connections.");
	while (conns)
		conn_close(conns);
}
