/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The module "hypervisor": about the program itself. */
#include <config.h>

#include <stdio.h>
#include <string.h>

#include "attach/replug.h"
#include "core/bridge.h"
#include "core/iol.h"
#include "ctl/control.h"
#include "ctl/dispatch.h"
#include "ctl/server.h"

static enum request_state cmd_version(struct request *request)
{
	return reply_final(request, REPLY_OK, "%s", PACKAGE_VERSION);
}

static enum request_state cmd_module_list(struct request *request)
{
	const struct module *module;

	for (size_t i = 0; (module = dispatch_module(i)); i++)
		reply_info(request, "%s", module->name);
	return reply_final(request, REPLY_OK, "OK");
}

static enum request_state list_commands(struct request *request, const struct command *commands,
					size_t count)
{
	for (size_t i = 0; i < count; i++)
		reply_info(request, "%s (min/max args: %u/%u)", commands[i].name, commands[i].min,
			   commands[i].max);
	return reply_final(request, REPLY_OK, "OK");
}

/* "bridge": the classic commands of a module; "bridge+": those that are ours. */
static enum request_state cmd_cmd_list(struct request *request)
{
	const char *name = request->argv[0];
	const struct module *module = dispatch_find(name);
	char classic[32];

	if (module)
		return list_commands(request, module->commands, module->count);
	if (strlen(name) < sizeof(classic) && strrchr(name, '+') == name + strlen(name) - 1) {
		snprintf(classic, sizeof(classic), "%.*s", (int)strlen(name) - 1, name);
		module = dispatch_find(classic);
	}
	if (!module)
		return reply_final(request, REPLY_UNKNOWN_MODULE, "unknown module '%s'", name);
	return list_commands(request, module->extensions, module->extension_count);
}

static enum request_state cmd_reset(struct request *request)
{
	replug_forget_all();
	bridge_delete_all();
	iol_delete_all();
	return reply_final(request, REPLY_OK, "OK");
}

static enum request_state cmd_close(struct request *request)
{
	server_hang_up(request);
	return reply_final(request, REPLY_OK, "OK");
}

static enum request_state cmd_stop(struct request *request)
{
	server_hang_up(request);
	control_stop();
	return reply_final(request, REPLY_OK, "OK");
}

static const struct command commands[] = {
	{ "stop", 0, 0, OBJECT_NONE, cmd_stop },
	{ "close", 0, 0, OBJECT_NONE, cmd_close },
	{ "reset", 0, 0, OBJECT_NONE, cmd_reset },
	{ "cmd_list", 1, 1, OBJECT_NONE, cmd_cmd_list },
	{ "module_list", 0, 0, OBJECT_NONE, cmd_module_list },
	{ "version", 0, 0, OBJECT_NONE, cmd_version },
};

const struct module module_hypervisor = {
	.name = "hypervisor",
	.commands = commands,
	.count = sizeof(commands) / sizeof(commands[0]),
};
