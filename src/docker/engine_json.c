/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The engine's JSON, read into structs: what is not as it should be is an error.
 *
 * jansson's accessors take NULL and values of another type, and answer with NULL
 * or 0, so a path through an answer needs one check, at its end.
 */
#include <config.h>

#include "docker/engine_internal.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* jansson takes up to 200 bytes for a value of three: this bounds memory, not only text.
 * Real answers have a value for every 30 bytes or so.
 */
#define VALUES_MAX 500000

/* Of an error's body; a longer one is quoted as it is. */
#define MESSAGE_MAX (64 * 1024)

/* The kernel's own bound for process ids. */
#define PID_LIMIT (4 * 1024 * 1024)

static const struct {
	const char *word;
	enum engine_state state;
} state_words[] = {
	{ "created", ENGINE_CREATED },
	{ "running", ENGINE_RUNNING },
	{ "paused", ENGINE_PAUSED },
	{ "restarting", ENGINE_RESTARTING },
	{ "stopping", ENGINE_STOPPING },
	{ "exited", ENGINE_EXITED },
	{ "removing", ENGINE_REMOVING },
	{ "dead", ENGINE_DEAD },
	/* Podman's own */
	{ "configured", ENGINE_CREATED },
	{ "initialized", ENGINE_CREATED },
	{ "stopped", ENGINE_EXITED },
};

/* Podman says "remove" and, outside of Docker's names for its paths, "died". */
static const struct {
	const char *word;
	enum engine_action action;
} action_words[] = {
	{ "create", ENGINE_EVENT_CREATE },
	{ "start", ENGINE_EVENT_START },
	{ "restart", ENGINE_EVENT_RESTART },
	{ "pause", ENGINE_EVENT_PAUSE },
	{ "unpause", ENGINE_EVENT_UNPAUSE },
	{ "kill", ENGINE_EVENT_KILL },
	{ "die", ENGINE_EVENT_DIE },
	{ "died", ENGINE_EVENT_DIE },
	{ "stop", ENGINE_EVENT_STOP },
	{ "rename", ENGINE_EVENT_RENAME },
	{ "destroy", ENGINE_EVENT_DESTROY },
	{ "remove", ENGINE_EVENT_DESTROY },
};

/* engine_state_name() - the word for a state */
const char *engine_state_name(enum engine_state state)
{
	for (size_t i = 0; i < sizeof(state_words) / sizeof(state_words[0]); i++)
		if (state_words[i].state == state)
			return state_words[i].word;
	return "unknown";
}

/* engine_action_name() - the word for what happened */
const char *engine_action_name(enum engine_action action)
{
	for (size_t i = 0; i < sizeof(action_words) / sizeof(action_words[0]); i++)
		if (action_words[i].action == action)
			return action_words[i].word;
	return "unknown";
}

static enum engine_state state_from(const char *word)
{
	for (size_t i = 0; word && i < sizeof(state_words) / sizeof(state_words[0]); i++)
		if (strcmp(state_words[i].word, word) == 0)
			return state_words[i].state;
	return ENGINE_UNKNOWN;
}

static bool action_from(const char *word, enum engine_action *action)
{
	for (size_t i = 0; word && i < sizeof(action_words) / sizeof(action_words[0]); i++) {
		if (strcmp(action_words[i].word, word) == 0) {
			*action = action_words[i].action;
			return true;
		}
	}
	return false;
}

static const char *text_of(const json_t *object, const char *key)
{
	return json_string_value(json_object_get(object, key));
}

static bool copy_text(char *out, size_t size, const char *text)
{
	return text && (size_t)snprintf(out, size, "%s", text) < size;
}

static bool copy_id(char out[ENGINE_ID_MAX], const char *text)
{
	if (!text || strlen(text) != ENGINE_ID_MAX - 1 ||
	    strspn(text, "0123456789abcdef") != ENGINE_ID_MAX - 1)
		return false;
	memcpy(out, text, ENGINE_ID_MAX);
	return true;
}

/* A container that is being removed may have no name any more. */
static bool copy_name(char out[ENGINE_NAME_MAX], const char *text)
{
	out[0] = '\0';
	if (!text || !*text)
		return true;
	text += *text == '/';
	return engine_reference_ok(text) && copy_text(out, ENGINE_NAME_MAX, text);
}

/* No fewer than there are: those inside of strings are counted too. */
static size_t count_values(const char *text, size_t length)
{
	size_t count = 1;

	for (size_t i = 0; i < length; i++)
		count += text[i] == ',' || text[i] == '[' || text[i] == '{';
	return count;
}

/* NULL with @err set when there is nothing to be read */
static json_t *load(const char *text, size_t length, const char *what, struct err *err)
{
	json_t *root;

	if (count_values(text, length) > VALUES_MAX) {
		err_set(err, EMSGSIZE, "%s has more than %d values", what, VALUES_MAX);
		return NULL;
	}
	root = json_loadb(text, length, 0, NULL);
	if (!root)
		err_set(err, EPROTO, "%s is not JSON", what);
	return root;
}

static int senseless(const char *what, struct err *err)
{
	return err_set(err, EPROTO, "%s makes no sense", what);
}

/* engine_api_parse() - the number for "1.41"; 0 for what is no version */
unsigned engine_api_parse(const char *text)
{
	unsigned major, minor;
	int end = 0;

	if (!text || strspn(text, "0123456789.") != strlen(text) || strlen(text) > 7)
		return 0;
	/* NOLINTNEXTLINE(cert-err34-c): three digits fit */
	if (sscanf(text, "%3u.%3u%n", &major, &minor, &end) != 2 || text[end])
		return 0;
	return ENGINE_API(major, minor);
}

/* engine_api_choose() - the version to speak to an engine that speaks @oldest to @newest
 *
 * Return: 0 when it is too old for us.
 */
unsigned engine_api_choose(unsigned oldest, unsigned newest)
{
	unsigned api = newest < ENGINE_API_NEWEST ? newest : ENGINE_API_NEWEST;

	if (newest < ENGINE_API_OLDEST || newest < oldest)
		return 0;
	return api < oldest ? oldest : api;
}

static bool read_info(const json_t *root, struct engine_info *info)
{
	const json_t *first = json_array_get(json_object_get(root, "Components"), 0);
	const char *product = text_of(first, "Name");
	const char *oldest = text_of(root, "MinAPIVersion");

	*info = (struct engine_info){ .podman = product && strstr(product, "Podman") };
	return copy_text(info->version, sizeof(info->version), text_of(root, "Version")) &&
	       copy_text(info->api, sizeof(info->api), text_of(root, "ApiVersion")) &&
	       copy_text(info->api_min, sizeof(info->api_min), oldest ? oldest : "1.0") &&
	       engine_api_parse(info->api) && engine_api_parse(info->api_min);
}

/* engine_json_info() - the answer to /version; @info's api_used stays empty */
int engine_json_info(const char *text, size_t length, struct engine_info *info,
		     struct err *err)
{
	json_t *root = load(text, length, "version", err);
	bool ok;

	if (!root)
		return -err->code;
	ok = read_info(root, info);
	json_decref(root);
	return ok ? 0 : senseless("version", err);
}

static bool read_state(const json_t *state, struct engine_container *container)
{
	const json_t *pid = json_object_get(state, "Pid");
	json_int_t number = json_integer_value(pid);

	if (!json_is_integer(pid) || number < 0 || number > PID_LIMIT)
		return false;
	if (!json_is_boolean(json_object_get(state, "Running")) || !text_of(state, "Status"))
		return false;
	container->state = state_from(text_of(state, "Status"));
	if (json_is_true(json_object_get(state, "Running")))
		container->pid = (pid_t)number;
	return copy_text(container->started_at, sizeof(container->started_at),
			 text_of(state, "StartedAt"));
}

static bool read_network(const char *mode, struct engine_container *container)
{
	if (!copy_text(container->network_mode, sizeof(container->network_mode), mode))
		return false;
	if (strcmp(mode, "host") == 0)
		container->network = ENGINE_NET_HOST;
	else if (strncmp(mode, "container:", 10) == 0 || strncmp(mode, "ns:", 3) == 0)
		container->network = ENGINE_NET_SHARED;
	return true;
}

static bool read_container(const json_t *root, struct engine_container *container)
{
	*container = (struct engine_container){ .network = ENGINE_NET_OWN };
	return copy_id(container->id, text_of(root, "Id")) &&
	       copy_name(container->name, text_of(root, "Name")) &&
	       read_state(json_object_get(root, "State"), container) &&
	       read_network(text_of(json_object_get(root, "HostConfig"), "NetworkMode"),
			    container);
}

/* engine_json_container() - the answer to /containers/X/json */
int engine_json_container(const char *text, size_t length, struct engine_container *container,
			  struct err *err)
{
	json_t *root = load(text, length, "container", err);
	bool ok;

	if (!root)
		return -err->code;
	ok = read_container(root, container);
	json_decref(root);
	return ok ? 0 : senseless("container", err);
}

/* Of several names (old-style links add "/other/alias") the first that is its own. */
static void read_names(const json_t *names, char out[ENGINE_NAME_MAX])
{
	const json_t *name;
	size_t i;

	out[0] = '\0';
	json_array_foreach(names, i, name)
		if (copy_name(out, json_string_value(name)) && out[0])
			return;
	out[0] = '\0';
}

static bool read_list(const json_t *root, struct engine_summary *list)
{
	const json_t *entry;
	size_t i;

	json_array_foreach(root, i, entry) {
		if (!copy_id(list[i].id, text_of(entry, "Id")))
			return false;
		read_names(json_object_get(entry, "Names"), list[i].name);
		list[i].state = state_from(text_of(entry, "State"));
	}
	return true;
}

static int make_list(const json_t *root, struct engine_summary **list, size_t *count,
		     struct err *err)
{
	size_t size = json_array_size(root);
	struct engine_summary *made;

	if (!json_is_array(root))
		return senseless("list", err);
	made = calloc(size + 1, sizeof(*made));
	if (!made)
		return err_sys(err, ENOMEM, "list");
	if (!read_list(root, made)) {
		free(made);
		return senseless("list", err);
	}
	*list = made;
	*count = size;
	return 0;
}

/* engine_json_list() - the answer to /containers/json; the caller frees @list */
int engine_json_list(const char *text, size_t length, struct engine_summary **list,
		     size_t *count, struct err *err)
{
	json_t *root = load(text, length, "list", err);
	int rc;

	if (!root)
		return -err->code;
	rc = make_list(root, list, count, err);
	json_decref(root);
	return rc;
}

static int read_event(const json_t *root, struct engine_event *event, struct err *err)
{
	const json_t *actor = json_object_get(root, "Actor");
	const char *type = text_of(root, "Type");

	*event = (struct engine_event){ 0 };
	if (!type || !text_of(root, "Action"))
		return senseless("event", err);
	if (strcmp(type, "container") != 0 ||
	    !action_from(text_of(root, "Action"), &event->action))
		return 0;
	if (!copy_id(event->id, text_of(actor, "ID")) ||
	    !copy_name(event->name, text_of(json_object_get(actor, "Attributes"), "name")))
		return senseless("event", err);
	return 1;
}

/* engine_json_event() - a line of the event stream
 *
 * Return: 1 with @event set; 0 for one that is none of ours; -EPROTO.
 */
int engine_json_event(const char *text, size_t length, struct engine_event *event,
		      struct err *err)
{
	json_t *root = load(text, length, "event", err);
	int rc;

	if (!root)
		return -err->code;
	rc = read_event(root, event, err);
	json_decref(root);
	return rc;
}

/* engine_json_message() - what an engine says in place of an answer, fit for one line of text
 *
 * It is {"message": "..."}, or plain text.
 */
void engine_json_message(const char *text, size_t length, char *message, size_t size)
{
	json_t *root = text && length <= MESSAGE_MAX ? json_loadb(text, length, 0, NULL) : NULL;
	const char *said = text_of(root, "message");

	if (said)
		snprintf(message, size, "%s", said);
	else
		snprintf(message, size, "%.*s", (int)(length < size ? length : size),
			 text ? text : "");
	for (char *c = message; *c; c++)
		if (*c < ' ' || *c > '~')
			*c = '?';
	json_decref(root);
}
