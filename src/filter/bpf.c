/* SPDX-License-Identifier: GPL-3.0-or-later */
/* bpf EXPRESSION [LINKTYPE]: frames that match are dropped.
 *
 * A missing or blank expression matches nothing. To libpcap it would match
 * everything, but GNS3 sends one for each empty line of its text box.
 */
#include <config.h>

#include "filter/filter_type.h"

#include <errno.h>
#include <pcap/pcap.h>
#include <stdlib.h>
#include <string.h>

#include "filter/linktype.h"

#define SNAPLEN 65535	/* only the value that a match returns: any but 0 would do */

/* How much of an expression an error text repeats. */
#define EXPRESSION_QUOTED 600

static bool is_blank(const char *text)
{
	return !text[strspn(text, " \t\r\n\v\f")];
}

static int parse_linktype(const char *name, int *linktype, struct err *err)
{
	if (linktype_parse(name, linktype))
		return 0;
	return err_set(err, EINVAL, "Unknown link type %s", name);
}

/* GNS3 looks for "Cannot compile filter 'EXPRESSION': syntax error" in the log. libpcap
 * 1.10 puts words of its own in front of "syntax error", so each kind of failure is
 * called by that name first. An expression that is too long to be quoted is cut.
 */
static int compile(const char *expression, int linktype, struct bpf_program *program,
		   struct err *err)
{
	pcap_t *pcap = pcap_open_dead(linktype, SNAPLEN);
	int status = 0;

	if (!pcap)
		return err_sys(err, ENOMEM, "libpcap");
	if (pcap_compile(pcap, program, expression, 1, PCAP_NETMASK_UNKNOWN) < 0) {
		status = err_set(err, EINVAL, "Cannot compile filter '%.*s': syntax error: %s",
				 EXPRESSION_QUOTED, expression, pcap_geterr(pcap));
	}
	pcap_close(pcap);
	return status;
}

static int init(struct filter *filter, int argc, char **argv, struct err *err)
{
	int linktype = DLT_EN10MB;
	int status = argc > 1 ? parse_linktype(argv[1], &linktype, err) : 0;

	if (status < 0 || is_blank(argv[0]))
		return status;
	filter->program = calloc(1, sizeof(*filter->program));
	if (!filter->program)
		return err_sys(err, ENOMEM, "program");
	status = compile(argv[0], linktype, filter->program, err);
	if (status < 0)
		free(filter->program);
	return status;
}

static void fini(struct filter *filter)
{
	if (!filter->program)
		return;
	pcap_freecode(filter->program);
	free(filter->program);
}

static enum filter_result run(struct filter *filter, struct filter_frame *frame)
{
	const struct bpf_program *program = filter->program;

	if (program && bpf_filter(program->bf_insns, frame->data, frame->len, frame->len))
		return FILTER_DROP;
	return FILTER_PASS;
}

const struct filter_ops filter_bpf = {
	.name = "bpf",
	.usage = "EXPRESSION [LINKTYPE]",
	.min_args = 1,
	.max_args = 2,
	.init = init,
	.run = run,
	.fini = fini,
};
