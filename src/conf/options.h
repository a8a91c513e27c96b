/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The command line. */
#ifndef CONF_OPTIONS_H
#define CONF_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#define OPTIONS_CONFIG_DEFAULT "ubridge.ini"

enum options_action {
	OPTIONS_RUN,
	OPTIONS_HELP,
	OPTIONS_LONG_HELP,		/* the same with another exit status */
	OPTIONS_VERSION,
	OPTIONS_DEVICES,
};

/* What was said. Texts belong to the command line; a number that was not said is 0. */
struct options {
	enum options_action action;	/* anything but OPTIONS_RUN: nothing after it counts */
	const char *config;
	const char *listen;		/* NULL: not over TCP */
	const char *listen_unix;	/* NULL: not over a UNIX socket */
	bool same_user;
	bool least_privilege;
	bool no_offload;
	bool no_replug;
	bool has_seed;
	uint64_t seed;
	unsigned debug;
	unsigned workers;
	unsigned max_clients;
	unsigned max_bridges;
	uint32_t delay_frames;
};

bool options_parse(struct options *options, int argc, char **argv);
void options_usage(FILE *out, const char *program);

#endif
