/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <config.h>

#include "ctl/dispatch.h"

#include <stdlib.h>
#include <string.h>

#include "core/bridge.h"
#include "core/iol.h"
#include "base/lex.h"

/* In the order in which module_list shows them. */
static const struct module *const modules[] = {
	&module_brctl,
	&module_iol_bridge,
	&module_docker,
	&module_bridge,
	&module_hypervisor,
};

#define MODULE_COUNT (sizeof(modules) / sizeof(modules[0]))

/* dispatch_module() - the modules by number, NULL behind the last one */
const struct module *dispatch_module(size_t index)
{
	return index < MODULE_COUNT ? modules[index] : NULL;
}

/* dispatch_find() - the module of that name, or NULL */
const struct module *dispatch_find(const char *name)
{
	for (size_t i = 0; i < MODULE_COUNT; i++) {
		if (!strcmp(modules[i]->name, name))
			return modules[i];
	}
	return NULL;
}

static const struct command *find_in(const struct command *commands, size_t count,
				     const char *name)
{
	for (size_t i = 0; i < count; i++) {
		if (!strcmp(commands[i].name, name))
			return &commands[i];
	}
	return NULL;
}

static const struct command *find_command(const struct module *module, const char *name)
{
	const struct command *command = find_in(module->commands, module->count, name);

	return command ? command : find_in(module->extensions, module->extension_count, name);
}

/* Finds what the first argument names; false when it does not exist and the reply says so. */
static bool resolve(struct request *request, enum command_object object)
{
	const char *name = request->argc ? request->argv[0] : "";

	switch (object) {
	case OBJECT_NONE:
		return true;
	case OBJECT_BRIDGE:
		request->bridge = bridge_find(name);
		if (!request->bridge)
			break;
		return true;
	case OBJECT_IOL_BRIDGE:
		request->iol = iol_find(name);
		if (request->iol)
			return true;
		reply_final(request, REPLY_NOT_FOUND, "IOL bridge '%s' doesn't exist", name);
		return false;
	case OBJECT_IOL_PORT:
		request->iol = iol_find(name);
		if (!request->iol)
			break;
		return true;
	}
	reply_final(request, REPLY_NOT_FOUND, "bridge '%s' doesn't exist", name);
	return false;
}

static enum request_state run(struct request *request, char **words, size_t count)
{
	const struct command *command;
	const struct module *module;

	if (count < 2)
		return reply_final(request, REPLY_PARSE,
				   "At least a module and a command must be specified");
	module = dispatch_find(words[0]);
	if (!module)
		return reply_final(request, REPLY_UNKNOWN_MODULE, "Unknown module '%s'", words[0]);
	command = find_command(module, words[1]);
	if (!command)
		return reply_final(request, REPLY_UNKNOWN_COMMAND, "Unknown command '%s'", words[1]);
	request->argc = count - 2;
	request->argv = words + 2;
	if (request->argc < command->min || request->argc > command->max)
		return reply_final(request, REPLY_PARAM_COUNT,
				   "Bad number of parameters (%zu with min/max=%u/%u)",
				   request->argc, command->min, command->max);
	if (!resolve(request, command->object))
		return REQUEST_DONE;
	return command->run(request);
}

/* dispatch_line() - carry out one line of @len bytes, without its line end
 *
 * The line is written to and must live as long as the request, and so must
 * @request->words, which this allocates.
 * Return: REQUEST_DONE when the reply is complete, REQUEST_PENDING when
 * request_finish() will be called later.
 */
enum request_state dispatch_line(struct request *request, char *line, size_t len)
{
	struct lex_words words = { .word = malloc(LEX_WORDS_MAX(len) * sizeof(*words.word)) };

	request->words = words.word;
	if (!words.word)
		return reply_final(request, REPLY_OTHER, "out of memory");
	switch (lex_line(line, len, &words)) {
	case LEX_UNEXPECTED_QUOTE:
		return reply_final(request, REPLY_PARSE, "Parse error: unexpected quote");
	case LEX_UNEXPECTED_END:
		return reply_final(request, REPLY_PARSE, "Parse error: unexpected end of line");
	case LEX_OK:
		break;
	}
	request->ends_empty = words.ends_empty;
	return run(request, words.word, words.count);
}
