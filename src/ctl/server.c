/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Theory of operation
 *
 * The control thread serves all connections from one loop. A connection has
 * bytes that came in and bytes that have to go out. Complete lines are carried
 * out in order, one after the other: while a request is pending, or while the
 * client leaves too much of its replies unread, its further lines wait, and
 * after a while it can send no more. Other connections do not notice.
 *
 * Bridges do not depend on connections: what a client made stays when it goes. And
 * what it sent before it went is carried out: a connection whose client is gone is no
 * longer watched, and its replies are thrown away, but it is there, and has its place
 * among the clients, until its last request is done. Only what waits for something that
 * may never happen is given up then.
 *
 * A connection has room for a line of usual length and for the shortest reply from
 * the beginning, so where memory ends each command still hears so.
 *
 * Who may connect is looked at once, when a connection is accepted; one that is
 * refused is closed without a word. One too many is told so.
 */
#include <config.h>

#include "ctl/server.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
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
#include "ctl/listen_unix.h"
#include "ctl/peer.h"

#define LINE_MAX_BYTES (64 * 1024)
#define READ_BYTES (16 * 1024)

/* A reply that always finds room. */
#define REPLY_ROOM 64

/* A client that leaves this much unread is not served until it reads. */
#define UNREAD_MAX (256 * 1024)

/* When there are no descriptors left, new clients are looked at this much later. */
#define ACCEPT_PAUSE (100 * NSEC_PER_MSEC)

/* However many clients are refused, the log gets a line as often as this. */
#define REFUSED_PAUSE NSEC_PER_SEC

struct conn {
	struct loop_source source;
	struct conn *next, **place;
	struct buf in, out;
	struct request *pending;
	bool discarding;	/* a line that was too long has not ended yet */
	bool peer_done;		/* it will send no more */
	bool abandoned;		/* nor hear anything */
	bool closing;		/* no more commands, and the end when all is sent */
};

struct listener {
	struct loop_source source;
	bool is_unix;
};

struct server_options server_options = { .max_clients = 1024 };

static struct loop *server_loop;
static struct listener listeners[LISTEN_SOCKETS_MAX + 1];
static size_t listener_count;
static struct unix_listener unix_listener;
static struct loop_timer accept_again;
static struct conn *conns;
static unsigned conn_count;

static void serve(struct conn *conn);

/* ---- requests */

static void request_free(struct request *request)
{
	buf_free(&request->reply);
	free(request->words);
	free(request->line);
	free(request);
}

/* Always has something to say: see may_run(). */
static void tell_no_memory(struct conn *conn)
{
	static const char sorry[] = "215-out of memory\r\n";

	conn->out.failed = false;
	buf_append(&conn->out, sorry, sizeof(sorry) - 1);
}

static void deliver(struct conn *conn, struct request *request)
{
	if (request->reply.failed || !buf_reserve(&conn->out, request->reply.len))
		tell_no_memory(conn);
	else
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
		tell_no_memory(conn);
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
	conn_count--;
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

/* A command runs only where there is room for an answer, if only a short one. */
static bool may_run(struct conn *conn)
{
	bool room = buf_reserve(&conn->out, REPLY_ROOM);

	conn->out.failed = false;
	return room && !conn->pending && !conn->closing && conn->out.len < UNREAD_MAX;
}

/* Takes bytes away at the front; a little room stays when nothing else does. */
static void consume(struct buf *buf, size_t len)
{
	char *data;

	if (len < buf->len) {
		buf_consume(buf, len);
		return;
	}
	buf->len = 0;
	if (buf->room > READ_BYTES && (data = realloc(buf->data, READ_BYTES))) {
		buf->data = data;
		buf->room = READ_BYTES;
	}
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
		consume(&conn->in, at);
}

static void throw_away(struct buf *buf)
{
	buf->failed = false;
	consume(buf, buf->len);
}

static bool send_out(struct conn *conn)
{
	if (conn->abandoned)
		throw_away(&conn->out);
	while (conn->out.len) {
		ssize_t sent = send(conn->source.fd, conn->out.data, conn->out.len,
				    MSG_DONTWAIT | MSG_NOSIGNAL);

		if (sent < 0)
			return errno == EAGAIN || errno == EINTR;
		consume(&conn->out, (size_t)sent);
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

/* There is always room for some bytes; without memory at the cost of the line so far. */
static void make_room(struct conn *conn)
{
	if (buf_reserve(&conn->in, READ_BYTES))
		return;
	conn->in.failed = false;
	if (conn->in.len < conn->in.room)
		return;
	if (!conn->discarding)
		tell_no_memory(conn);
	conn->discarding = true;
	conn->in.len = 0;
}

/* Takes what has arrived. Return: whether anything has. */
static bool receive(struct conn *conn)
{
	ssize_t got;

	make_room(conn);
	got = recv(conn->source.fd, conn->in.data + conn->in.len, conn->in.room - conn->in.len,
		   MSG_DONTWAIT);
	if (got > 0) {
		conn->in.len += (size_t)got;
		return true;
	}
	if (got == 0 || conn->abandoned || (errno != EAGAIN && errno != EINTR))
		conn->peer_done = true;
	return false;
}

/* Its end, which may come at once, takes the connection further. */
static void give_up(struct request *pending)
{
	if (pending->cancel)
		pending->cancel(pending);
}

static void watch(struct conn *conn)
{
	uint32_t events = 0;

	if (conn->out.len)
		events |= EPOLLOUT;
	if (may_run(conn) && !conn->peer_done)
		events |= EPOLLIN;
	loop_modify(server_loop, &conn->source, events);
}

/* Nobody is at the other end. What has been received may still go on. */
static void abandon(struct conn *conn)
{
	loop_remove(server_loop, &conn->source);
	conn->abandoned = true;
	throw_away(&conn->out);
}

/* Does what can be done for a connection now, and waits for the rest. */
static void serve(struct conn *conn)
{
	do {
		run_lines(conn);
		if (!send_out(conn))
			abandon(conn);
	} while (may_run(conn) &&
		 (has_line(conn) || (conn->abandoned && !conn->peer_done && receive(conn))));
	if (conn->abandoned && conn->pending)
		give_up(conn->pending);
	else if (conn->abandoned || is_over(conn))
		conn_close(conn);
	else
		watch(conn);
}

static void conn_ready(struct loop_source *source, uint32_t events)
{
	struct conn *conn = container_of(source, struct conn, source);

	if (events & (EPOLLERR | EPOLLHUP))
		abandon(conn);
	else if (events & EPOLLIN)
		receive(conn);
	serve(conn);
}

/* A client whose host has vanished, or which has left while its request waits, is found out
 * about by asking; no answer within a minute or so is an answer too. Not for UNIX sockets.
 */
static void keep_asking(int fd)
{
	const int on = 1, idle = 30, interval = 10, count = 3;

	setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
	setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle, sizeof(idle));
	setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &interval, sizeof(interval));
	setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &count, sizeof(count));
}

static void conn_open(int fd)
{
	struct conn *conn = calloc(1, sizeof(*conn));
	struct err err;

	if (!conn) {
		close(fd);
		return;
	}
	keep_asking(fd);
	conn->source = (struct loop_source){ .fd = fd, .ready = conn_ready };
	if (!buf_reserve(&conn->in, READ_BYTES) || !buf_reserve(&conn->out, REPLY_ROOM) ||
	    loop_add(server_loop, &conn->source, EPOLLIN, &err) < 0) {
		buf_free(&conn->in);
		buf_free(&conn->out);
		close(fd);
		free(conn);
		return;
	}
	conn->next = conns;
	conn->place = &conns;
	if (conns)
		conns->place = &conn->next;
	conns = conn;
	conn_count++;
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

static void log_refused(const char *reason)
{
	static uint64_t quiet_until;
	uint64_t now = clock_now();

	if (now < quiet_until)
		return;
	quiet_until = now + REFUSED_PAUSE;
	log_error("Hypervisor: client refused: %s.", reason);
}

static void tell_full(int fd)
{
	static const char text[] = "215-too many clients\r\n";
	/* whether it arrives does not matter */
	ssize_t sent = send(fd, text, sizeof(text) - 1, MSG_DONTWAIT | MSG_NOSIGNAL);

	(void)sent;
}

static void admit(const struct listener *listener, int fd)
{
	struct err err;

	if ((listener->is_unix || server_options.same_user) && !peer_is_ours(fd, &err)) {
		log_refused(err.text);
		close(fd);
	} else if (conn_count >= server_options.max_clients) {
		log_refused("too many clients");
		tell_full(fd);
		close(fd);
	} else {
		conn_open(fd);
	}
}

static void listener_ready(struct loop_source *source, uint32_t events)
{
	/* cppcheck-suppress nullPointer ; the address may be NULL */
	int fd = accept4(source->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

	(void)events;
	if (fd >= 0) {
		admit(container_of(source, struct listener, source), fd);
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

static int add_listener(struct loop *loop, int fd, bool is_unix, struct err *err)
{
	struct listener *listener = &listeners[listener_count++];

	server_loop = loop;
	accept_again.expired = resume_accepting;
	listener->is_unix = is_unix;
	listener->source = (struct loop_source){ .fd = fd, .ready = listener_ready };
	return loop_add(loop, &listener->source, EPOLLIN, err);
}

/* server_listen() - accept clients at [ADDRESS:]PORT, on @loop; once
 *
 * Return: 0, or a negative errno with @err set.
 */
int server_listen(struct loop *loop, const char *text, struct err *err)
{
	int fds[LISTEN_SOCKETS_MAX];
	struct listen_spec spec;
	size_t count;

	if (listen_parse(&spec, text, err) < 0 || listen_open(&spec, fds, &count, err) < 0)
		return -err->code;
	for (size_t i = 0; i < count; i++) {
		if (add_listener(loop, fds[i], false, err) < 0)
			return -err->code;
	}
	announce(&spec);
	return 0;
}

/* server_listen_unix() - accept clients of this user and root at the UNIX socket @path; once
 *
 * Return: 0, or a negative errno with @err set.
 */
int server_listen_unix(struct loop *loop, const char *path, struct err *err)
{
	int fd = listen_unix_open(&unix_listener, path, err);

	if (fd < 0 || add_listener(loop, fd, true, err) < 0)
		return -err->code;
	log_info("Hypervisor control socket started (%s).", path);
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
		if (listeners[listener_count].is_unix)
			listen_unix_remove(&unix_listener);
	}
	log_info("Hypervisor: closing remote client connections.");
	while (conns)
		conn_close(conns);
}
