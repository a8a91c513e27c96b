/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <config.h>

#include "ctl/cmd_link.h"

#include <inttypes.h>

#include "base/log.h"

/* reply_stats() - the counters of one NIO as an information line */
void reply_stats(struct request *request, const char *label, const struct nio_counters *counters)
{
	reply_info(request,
		   "%s IN: %" PRIu64 " packets (%" PRIu64 " bytes) OUT: %" PRIu64
		   " packets (%" PRIu64 " bytes)",
		   label, counters->in_frames, counters->in_bytes, counters->out_frames,
		   counters->out_bytes);
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
