/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The table of commands, and the way from a line to a handler. */
#ifndef CTL_DISPATCH_H
#define CTL_DISPATCH_H

#include "ctl/request.h"

/* What the first argument of a command must name. */
enum command_object {
	OBJECT_NONE,
	OBJECT_BRIDGE,
	OBJECT_IOL_BRIDGE,		/* "IOL bridge 'B' doesn't exist" */
	OBJECT_IOL_PORT,		/* "bridge 'B' doesn't exist" */
};

struct command {
	const char *name;
	unsigned min, max;		/* number of arguments */
	enum command_object object;
	enum request_state (*run)(struct request *request);
};

/* A module's commands, in the order in which cmd_list shows them. Clients of the classic
 * program read that list, so commands that it does not have are in one of their own.
 */
struct module {
	const char *name;
	const struct command *commands;
	size_t count;
	const struct command *extensions;
	size_t extension_count;
};

extern const struct module module_brctl, module_iol_bridge, module_docker, module_bridge,
	module_hypervisor;

const struct module *dispatch_module(size_t index);
const struct module *dispatch_find(const char *name);
enum request_state dispatch_line(struct request *request, char *line, size_t len);

#endif
