/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Theory of operation
 *
 * curl_easy_perform() looks at its progress callback once a second, which is too
 * slow for a process that wants to end. So each call has a multi handle of its
 * own with one transfer in it, and waits in curl_multi_poll() for the server and
 * for the caller's abort_fd together.
 *
 * The callbacks below never see more than the request allows: header bytes, body
 * bytes and the length of a line are counted before anything is stored.
 */
#include <config.h>

#include "docker/http.h"

#include <errno.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "docker/libcurl.h"

#define HEADERS_MAX (64 * 1024)

#define NO_SOCKET "no such socket, is the engine running?"

/* How long one wait may last while nothing but the server or an abort can end it. */
#define IDLE_MS 60000

/* The same while a stream's own clock runs. */
#define TICK_MS 100

/* Podman 2.0 and 5.2 answer with the first event only (its issues 7263 and 23712):
 * a stream's request that has not been answered for so long counts as taken.
 */
#define TAKEN_MS 1000

struct transfer {
	const struct http_request *request;
	struct http_reply *reply;
	struct http_lines *lines;	/* NULL: the whole body goes to @reply */
	CURL *easy;
	size_t header_bytes;
	size_t room;			/* bytes behind reply->body */
	bool open;			/* lines->open() has been called */
	uint64_t since;			/* start of the request, later of the line being read */
	struct err err;			/* of a callback; code 0: none failed */
	char curl_text[CURL_ERROR_SIZE];
};

static bool given_up(struct transfer *transfer)
{
	struct pollfd end = { .fd = transfer->request->abort_fd, .events = POLLIN };

	if (end.fd < 0 || poll(&end, 1, 0) <= 0)
		return false;
	err_set(&transfer->err, ECANCELED, "given up");
	return true;
}

static int append(struct transfer *transfer, const char *data, size_t length)
{
	struct http_reply *reply = transfer->reply;
	size_t need = reply->length + length + 1;

	if (length > transfer->request->max - reply->length)
		return err_set(&transfer->err, EMSGSIZE, "%s longer than %zu bytes",
			       transfer->open ? "line" : "answer", transfer->request->max);
	if (need > transfer->room) {
		size_t room = need > 2048 ? 2 * need : 4096;
		char *body = realloc(reply->body, room);

		if (!body)
			return err_sys(&transfer->err, ENOMEM, "answer");
		reply->body = body;
		transfer->room = room;
	}
	memcpy(reply->body + reply->length, data, length);
	reply->length += length;
	reply->body[reply->length] = '\0';
	return 0;
}

static void open_once(struct transfer *transfer)
{
	if (transfer->open)
		return;
	transfer->open = true;
	transfer->lines->open(transfer->lines);
}

static int finish_line(struct transfer *transfer)
{
	struct http_reply *reply = transfer->reply;
	size_t length = reply->length;

	if (length && reply->body[length - 1] == '\r')
		reply->body[--length] = '\0';
	reply->length = 0;
	transfer->since = clock_now();
	if (!length)
		return 0;
	return transfer->lines->line(transfer->lines, reply->body, length, &transfer->err);
}

static int feed_lines(struct transfer *transfer, const char *data, size_t length)
{
	int rc = 0;

	if (!transfer->reply->length)
		transfer->since = clock_now();
	while (!rc && length) {
		const char *end = memchr(data, '\n', length);
		size_t part = end ? (size_t)(end - data) : length;

		rc = append(transfer, data, part);
		if (rc || !end)
			return rc;
		rc = finish_line(transfer);
		data += part + 1;
		length -= part + 1;
	}
	return rc;
}

/* One curl_multi_perform() can bring megabytes, so an abort is looked for here too. */
static size_t on_body(char *data, size_t size, size_t count, void *context)
{
	struct transfer *transfer = context;
	size_t length = size * count;
	int rc;

	if (given_up(transfer))
		return 0;
	if (transfer->lines && transfer->reply->status == 200)
		rc = feed_lines(transfer, data, length);
	else
		rc = append(transfer, data, length);
	return rc < 0 ? 0 : length;
}

static size_t on_header(char *data, size_t size, size_t count, void *context)
{
	struct transfer *transfer = context;
	size_t length = size * count;

	transfer->header_bytes += length;
	if (transfer->header_bytes > HEADERS_MAX) {
		err_set(&transfer->err, EMSGSIZE, "headers longer than %d bytes", HEADERS_MAX);
		return 0;
	}
	if (data[0] == '\r' || data[0] == '\n') {
		libcurl.easy_getinfo(transfer->easy, CURLINFO_RESPONSE_CODE,
				  &transfer->reply->status);
		if (transfer->lines && transfer->reply->status == 200)
			open_once(transfer);
	}
	return length;
}

/* What a stream does by its own clock, for which libcurl has no timer */
static int tick(struct transfer *transfer)
{
	uint64_t elapsed = (clock_now() - transfer->since) / NSEC_PER_MSEC;
	curl_off_t sent = 0;

	if (transfer->reply->length && elapsed > transfer->request->timeout_ms)
		return err_set(&transfer->err, ETIMEDOUT, "line not complete within %u ms",
			       transfer->request->timeout_ms);
	if (!transfer->open && elapsed > TAKEN_MS) {
		libcurl.easy_getinfo(transfer->easy, CURLINFO_PRETRANSFER_TIME_T, &sent);
		if (sent)
			open_once(transfer);
	}
	return 0;
}

static int wait_ms(const struct transfer *transfer)
{
	if (transfer->lines && (!transfer->open || transfer->reply->length))
		return TICK_MS;
	return IDLE_MS;
}

static CURLcode result_of(CURLM *multi)
{
	int left;
	CURLMsg *message = libcurl.multi_info_read(multi, &left);

	return message ? message->data.result : CURLE_FAILED_INIT;
}

/* Run the transfer to its end. @transfer's err says what stopped it, if we did. */
static CURLcode drive(CURLM *multi, struct transfer *transfer)
{
	struct curl_waitfd end = {
		.fd = transfer->request->abort_fd, .events = CURL_WAIT_POLLIN,
	};
	int running;

	for (;;) {
		if (given_up(transfer))
			return CURLE_ABORTED_BY_CALLBACK;
		if (libcurl.multi_perform(multi, &running))
			return CURLE_FAILED_INIT;
		if (!running)
			return result_of(multi);
		if (transfer->lines && tick(transfer) < 0)
			return CURLE_ABORTED_BY_CALLBACK;
		if (libcurl.multi_poll(multi, &end, end.fd >= 0, wait_ms(transfer), NULL))
			return CURLE_FAILED_INIT;
	}
}

static int connect_error(const struct transfer *transfer, struct err *err)
{
	long code = 0;

	libcurl.easy_getinfo(transfer->easy, CURLINFO_OS_ERRNO, &code);
	if (code == EACCES || code == EPERM)
		return err_sys(err, EACCES, "no right to use the socket");
	if (code == ENOENT)
		return err_set(err, ENOTCONN, NO_SOCKET);
	if (code == ECONNREFUSED)
		return err_set(err, ENOTCONN, "nothing listens there, is the engine running?");
	return err_set(err, ENOTCONN, "%s", transfer->curl_text);
}

static int transfer_error(const struct transfer *transfer, CURLcode result, struct err *err)
{
	if (transfer->err.code) {
		*err = transfer->err;
		return -err->code;
	}
	switch (result) {
	case CURLE_OK:
		return 0;
	case CURLE_COULDNT_RESOLVE_HOST:
	case CURLE_COULDNT_CONNECT:
		return connect_error(transfer, err);
	case CURLE_OPERATION_TIMEDOUT:
		return err_set(err, ETIMEDOUT, "no complete answer within %u ms",
			       transfer->request->timeout_ms);
	case CURLE_GOT_NOTHING:
	case CURLE_PARTIAL_FILE:
	case CURLE_RECV_ERROR:
	case CURLE_SEND_ERROR:
		return err_set(err, ECONNRESET, "connection closed before the answer was complete");
	case CURLE_OUT_OF_MEMORY:
		return err_sys(err, ENOMEM, "request");
	default:
		return err_set(err, EPROTO, "%s", transfer->curl_text[0] ?
			       transfer->curl_text : libcurl.easy_strerror(result));
	}
}

static void set_tls(CURL *easy, const struct http_endpoint *endpoint)
{
	char file[HTTP_PATH_MAX + 16];

	snprintf(file, sizeof(file), "%s/ca.pem", endpoint->cert_dir);
	libcurl.easy_setopt(easy, CURLOPT_CAINFO, file);
	snprintf(file, sizeof(file), "%s/cert.pem", endpoint->cert_dir);
	libcurl.easy_setopt(easy, CURLOPT_SSLCERT, file);
	snprintf(file, sizeof(file), "%s/key.pem", endpoint->cert_dir);
	libcurl.easy_setopt(easy, CURLOPT_SSLKEY, file);
	libcurl.easy_setopt(easy, CURLOPT_SSL_VERIFYPEER, endpoint->verify ? 1L : 0L);
	libcurl.easy_setopt(easy, CURLOPT_SSL_VERIFYHOST, endpoint->verify ? 2L : 0L);
}

static void set_endpoint(CURL *easy, const struct http_request *request)
{
	const struct http_endpoint *endpoint = request->endpoint;
	char url[HTTP_HOST_MAX + HTTP_PATH_MAX + 32];

	snprintf(url, sizeof(url), "%s://%s%s", endpoint->tls ? "https" : "http",
		 endpoint->authority, request->path);
	libcurl.easy_setopt(easy, CURLOPT_URL, url);
	libcurl.easy_setopt(easy, CURLOPT_PROXY, "");
	if (endpoint->socket[0])
		libcurl.easy_setopt(easy, CURLOPT_UNIX_SOCKET_PATH, endpoint->socket);
	if (endpoint->tls)
		set_tls(easy, endpoint);
}

static void set_transfer(struct transfer *transfer)
{
	CURL *easy = transfer->easy;
	long timeout = (long)transfer->request->timeout_ms;

	libcurl.easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
	libcurl.easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, timeout);
	if (!transfer->lines)
		libcurl.easy_setopt(easy, CURLOPT_TIMEOUT_MS, timeout);
	libcurl.easy_setopt(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
	libcurl.easy_setopt(easy, CURLOPT_ERRORBUFFER, transfer->curl_text);
	libcurl.easy_setopt(easy, CURLOPT_HEADERFUNCTION, on_header);
	libcurl.easy_setopt(easy, CURLOPT_HEADERDATA, transfer);
	libcurl.easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body);
	libcurl.easy_setopt(easy, CURLOPT_WRITEDATA, transfer);
}

static int run(CURLM *multi, struct transfer *transfer, struct err *err)
{
	struct curl_slist *pin = NULL;
	CURLcode result;
	int rc;

	set_endpoint(transfer->easy, transfer->request);
	set_transfer(transfer);
	if (transfer->request->endpoint->pin[0])
		pin = libcurl.slist_append(NULL, transfer->request->endpoint->pin);
	libcurl.easy_setopt(transfer->easy, CURLOPT_RESOLVE, pin);
	libcurl.multi_add_handle(multi, transfer->easy);
	result = drive(multi, transfer);
	rc = transfer_error(transfer, result, err);
	libcurl.multi_remove_handle(multi, transfer->easy);
	libcurl.slist_free_all(pin);
	return rc;
}

/* Where there is no engine, libcurl would be loaded for nothing. */
static int look_for_server(const struct http_endpoint *endpoint, struct err *err)
{
	if (endpoint->socket[0] && access(endpoint->socket, F_OK) < 0 && errno == ENOENT)
		return err_set(err, ENOTCONN, NO_SOCKET);
	return libcurl_load(err);
}

/* Of a stream that has ended: its lines were handed on, and one that is not complete is none. */
static void drop_body(struct http_reply *reply)
{
	const long status = reply->status;

	http_reply_free(reply);
	reply->status = status;
}

static int get(const struct http_request *request, struct http_lines *lines,
	       struct http_reply *reply, struct err *err)
{
	struct transfer transfer = {
		.request = request, .reply = reply, .lines = lines, .since = clock_now(),
	};
	CURLM *multi;
	int rc;

	*reply = (struct http_reply){ 0 };
	if (look_for_server(request->endpoint, err) < 0)
		return -err->code;
	multi = libcurl.multi_init();
	transfer.easy = libcurl.easy_init();
	if (multi && transfer.easy)
		rc = run(multi, &transfer, err);
	else
		rc = err_sys(err, ENOMEM, "request");
	libcurl.easy_cleanup(transfer.easy);
	libcurl.multi_cleanup(multi);
	if (rc < 0)
		http_reply_free(reply);
	else if (lines && reply->status == 200)
		drop_body(reply);
	return rc;
}

/* http_get() - ask for a document and wait for all of it
 * @reply: the answer, whatever its status; free it with http_reply_free()
 *
 * From any thread. No proxy is used and no redirection is followed.
 *
 * Return: 0, or with @reply empty: -ENOTCONN (no server there), -EACCES (the
 * socket is not ours to use), -ETIMEDOUT, -ECONNRESET (closed too early),
 * -EMSGSIZE (longer than it may be), -EPROTO (not HTTP, or TLS failed),
 * -ECANCELED (abort_fd), -ENOMEM, -ENOSYS (no libcurl).
 */
int http_get(const struct http_request *request, struct http_reply *reply, struct err *err)
{
	return get(request, NULL, reply, err);
}

/* http_get_lines() - ask for a document that goes on and on, a line at a time
 * @lines: follows the lines of an answer with status 200
 * @reply: its status; for any other than 200 also the body. Free it with
 *	http_reply_free().
 *
 * Return: 0 when the server has ended the answer, else as http_get(), or what
 * lines->line() has returned.
 */
int http_get_lines(const struct http_request *request, struct http_lines *lines,
		   struct http_reply *reply, struct err *err)
{
	return get(request, lines, reply, err);
}

/* http_reply_free() - let go of an answer's body */
void http_reply_free(struct http_reply *reply)
{
	free(reply->body);
	*reply = (struct http_reply){ 0 };
}
