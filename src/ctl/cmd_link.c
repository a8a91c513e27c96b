/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <config.h>

#include "ctl/cmd_link.h"

#include <inttypes.h>

#include "base/clock.h"
#include "base/log.h"
#include "core/bridge.h"
#include "core/iol.h"

unsigned max_bridges = 65536;

/* bridges_are_full() - whether there are as many bridges, of both kinds, as there may be */
bool bridges_are_full(void)
{
	unsigned count = 0;

	for (const struct bridge *bridge = bridge_first(); bridge; bridge = bridge->next)
		count++;
	for (const struct iol_bridge *bridge = iol_first(); bridge; bridge = bridge->next)
		count++;
	return count >= max_bridges;
}

/* reply_stats() - the counters of one NIO as an information line */
void reply_stats(struct request *request, const char *label, const struct nio_counters *counters)
{
	reply_info(request,
		   "%s IN: %" PRIu64 " packets (%" PRIu64 " bytes) OUT: %" PRIu64
		   " packets (%" PRIu64 " bytes)",
		   label, counters->in_frames, counters->in_bytes, counters->out_frames,
		   counters->out_bytes);
}

static const char *state_of(struct link *link, enum side side,
			    const struct nio_counters *counters)
{
	const struct nio *nio = link->nio[side];
	/* the last frame that was to leave found the device down, and none has left since */
	bool down = counters->last_error_ns && counters->last_drop == DROP_DOWN &&
		    counters->last_error_out == counters->out_frames;

	if (nio->ops->state)
		return nio->ops->state(nio);
	return down || link_device_is_gone(link, side) ? "down" : "up";
}

static void reply_error(struct buf *line, const struct nio_counters *counters)
{
	uint64_t age = clock_now() - counters->last_error_ns;

	buf_printf(line, " last_error=\"%s\"", nio_error_text(counters));
	if (counters->last_error_ns)
		buf_printf(line, " last_error_age=%.3f", (double)age / (double)NSEC_PER_SEC);
	else
		buf_printf(line, " last_error_age=-");
}

static void reply_nio_counters(struct request *request, struct link *link, enum side side,
			       const char *prefix, const struct nio_counters *counters)
{
	static const char *const label[SIDE_COUNT] = { "Source", "Destination" };
	static const struct {
		const char *key;
		enum frame_drop drop;
	} drops[] = {
		{ "down", DROP_DOWN },		{ "refused", DROP_REFUSED },
		{ "no_buffer", DROP_NO_BUFFER }, { "too_long", DROP_TOO_LONG },
		{ "filter", DROP_FILTER },	{ "queue", DROP_QUEUE },
		{ "runt", DROP_RUNT },
	};
	struct buf line = { 0 };

	for (size_t i = 0; i < sizeof(drops) / sizeof(drops[0]); i++)
		buf_printf(&line, " drop_%s=%" PRIu64, drops[i].key,
			   counters->drop[drops[i].drop]);
	buf_printf(&line, " errors=%" PRIu64, counters->errors + counters->drop[DROP_ERROR]);
	reply_error(&line, counters);
	reply_info(request,
		   "%s%s NIO: state=%s in_frames=%" PRIu64 " in_bytes=%" PRIu64
		   " out_frames=%" PRIu64 " out_bytes=%" PRIu64 "%.*s",
		   prefix, label[side], state_of(link, side, counters), counters->in_frames,
		   counters->in_bytes, counters->out_frames, counters->out_bytes, (int)line.len,
		   line.data ? line.data : "");
	buf_free(&line);
}

/* reply_counters() - all that is counted for a link: a line for each NIO and each filter
 * @prefix: what stands in front of each line, with a blank behind it, or ""
 */
void reply_counters(struct request *request, struct link *link, const char *prefix)
{
	struct nio_counters counters[SIDE_COUNT];

	link_get_counters(link, counters);
	for (enum side side = 0; side < SIDE_COUNT; side++) {
		if (link->nio[side])
			reply_nio_counters(request, link, side, prefix, &counters[side]);
	}
	for (const struct filter *filter = link->filters.first; filter;
	     filter = filter_next(filter)) {
		struct filter_counters count;

		filter_counters(filter, &count);
		reply_info(request,
			   "%sFilter '%s': type=%s seen=%" PRIu64 " dropped=%" PRIu64
			   " delayed=%" PRIu64 " changed=%" PRIu64,
			   prefix, filter_name(filter), filter_type(filter), count.seen,
			   count.dropped, count.delayed, count.changed);
	}
}

/* start_capture() - FILE [LINKTYPE]; false, with a line in the log, when it can not be written */
bool start_capture(struct link *link, size_t argc, char **argv)
{
	struct err err;
	struct capture *capture = capture_open(argv[0], argc > 1 ? argv[1] : "EN10MB", &err);

	if (!capture) {
		log_error("%s", err.text);
		return false;
	}
	link_set_capture(link, capture);
	return true;
}

/* add_filter() - NAME TYPE [ARGUMENT]…, with the reply; argv[0] of the request names the bridge */
enum request_state add_filter(struct request *request, struct link *link, size_t argc,
			      char **argv)
{
	struct err err;
	struct filter *filter = filter_from_words(argv, argc, request->ends_empty, &err);

	if (!filter) {
		log_error("%s", err.text);
		return reply_final(request, REPLY_CREATE, "Failed to add filter '%s'", argv[0]);
	}
	if (!link_add_filter(link, filter)) {
		filter_free(filter);
		log_error("filter '%s' is there already", argv[0]);
		return reply_final(request, REPLY_CREATE, "Failed to add filter '%s'", argv[0]);
	}
	return reply_final(request, REPLY_OK, "Filter '%s' type '%s' added to bridge '%s'", argv[0],
			   argv[1], request->argv[0]);
}
