/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <config.h>

#include "ctl/cmd_link.h"

#include <errno.h>
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

/* Quotes with nothing in them are no word, but GNS3 sends a blank line of its BPF
 * box like that, and there it is an expression that matches nothing.
 */
static struct filter *make_filter(const struct request *request, size_t argc, char **argv,
				  struct err *err)
{
	char nothing[] = "", *only_argument[] = { nothing };

	if (argc < 2) {
		err_set(err, EINVAL, "a filter must have a type");
		return NULL;
	}
	if (argc == 2 && request->ends_empty)
		return filter_new(argv[0], argv[1], 1, only_argument, err);
	return filter_new(argv[0], argv[1], (int)argc - 2, argv + 2, err);
}

/* add_filter() - NAME TYPE [ARGUMENT]…, with the reply; argv[0] of the request names the bridge */
enum request_state add_filter(struct request *request, struct link *link, size_t argc,
			      char **argv)
{
	struct err err;
	struct filter *filter = make_filter(request, argc, argv, &err);

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

/* log_filter_error() - the line that GNS3 looks for when an expression does not compile */
void log_filter_error(const char *expression, const char *reason)
{
	log_error("Cannot compile filter '%s': syntax error: %s", expression ? expression : "",
		  reason);
}
