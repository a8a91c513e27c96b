/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <config.h>

#include "attach/attach.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "attach/leftover.h"
#include "attach/session.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/rng.h"
#include "core/bridge.h"
#include "nio/nio_docker.h"

/* After a failure the first of these passes, then each time twice as much, up to the second. */
#define RETRY_MIN (200 * NSEC_PER_MSEC)
#define RETRY_MAX (5 * NSEC_PER_SEC)

/* So many times in a row the engine may name a process that is not there. */
#define PATIENT_LOOKS 2

struct attachment {
	struct attachment *next;
	uint64_t number;
	struct nio_docker_owner owner;
	struct nio *nio;		/* the Docker NIO; NULL for what was adopted */
	uint64_t tap_serial;		/* of the adopted TAP's NIO, or 0 */
	struct plug_spec spec;
	char container[ENGINE_NAME_MAX];	/* as the user says */
	char reference[ENGINE_NAME_MAX];	/* as the engine is asked */
	bool by_id;			/* reference is a whole id */

	enum attach_state state;
	struct plug plug;		/* while attached; its device is the NIO's */
	struct loop_source end;		/* of the run */
	char last_id[ENGINE_ID_MAX];	/* of the container seen last */
	struct plug_end former;		/* of the last run, until there is another one */
	unsigned plugged;		/* how many times */
	uint64_t since;			/* the present state began */

	struct attach_job *job;		/* under way, or NULL */
	bool look_again;		/* when it is done */
	bool ended;			/* free it when the job is done */
	unsigned failures;		/* in a row */
	struct loop_timer retry;
	struct err problem;		/* code 0: none */
	struct attach_watcher *watcher;
};

struct attach_job {
	struct session_job job;
	struct attachment *attachment;
	bool is_known;			/* known is in force */
	struct plug_run known;
	struct plug_spec spec;
	struct plug_end former;
	unsigned departures;		/* before it began */
	struct plug plug;
	int result;			/* of plug_in() */
	struct err err;
};

static const char *const state_names[] = {
	[ATTACH_WAITING] = "waiting",
	[ATTACH_ATTACHED] = "attached",
	[ATTACH_GONE] = "gone",
};
_Static_assert(sizeof(state_names) / sizeof(state_names[0]) == ATTACH_STATE_COUNT, "one each");

static struct attachment *attachments, **attachments_end = &attachments;
static uint64_t last_number;
static struct session_listener listener;

/* Plugs that nobody wants any more: those that are still being made or taken away, and those
 * that have been. Their interfaces may be in the way of others.
 */
static unsigned departing, departures;

static void look_at(struct attachment *self);

/* attach_error_is_final() - whether waiting does not make an error go away */
bool attach_error_is_final(const struct err *err)
{
	switch (err->code) {
	case EINVAL:
	case ENAMETOOLONG:
	case ENOTUNIQ:
	case EACCES:
	case EPERM:
	case EREMOTE:
	case EPROTONOSUPPORT:
	case EOPNOTSUPP:
	case EEXIST:
	case ENOSYS:
		return true;
	default:
		return false;
	}
}

/* ---- taking away */

struct disposal {
	struct session_job job;
	struct plug plug;
};

static void has_departed(void)
{
	departing--;
	departures++;
}

static void disposal_work(struct session_job *job, struct engine *engine)
{
	(void)engine;
	plug_out(&container_of(job, struct disposal, job)->plug);
}

static void disposal_done(struct session_job *job)
{
	struct disposal *disposal = container_of(job, struct disposal, job);

	if (job->err.code)
		plug_out(&disposal->plug);
	free(disposal);
	has_departed();
}

/* Takes a plug away without having anybody wait for it: with the end of a namespace
 * the kernel may be busy for a while. @plug is nothing then.
 */
static void dispose(struct plug *plug)
{
	struct disposal *disposal = calloc(1, sizeof(*disposal));

	if (!disposal) {
		plug_out(plug);
		return;
	}
	disposal->job.work = disposal_work;
	disposal->job.done = disposal_done;
	disposal->plug = *plug;
	*plug = (struct plug){ .pidfd = -1 };
	departing++;
	session_run_now(&disposal->job);
}

/* ---- what an attachment is to its bridge */

static uint64_t serial_of(const struct attachment *self)
{
	return self->nio ? self->nio->serial : self->tap_serial;
}

/* Puts a device, or none, into its NIO; gives back the one that was there. */
static struct nio *swap_device(struct attachment *self, struct nio *device)
{
	struct bridge *bridge;
	enum side side;

	if (!serial_of(self))
		return self->nio ? self->nio->ops->swap(self->nio, device) : device;
	bridge = bridge_of_nio(serial_of(self), &side);
	return bridge ? link_swap_device(&bridge->link, side, device) : device;
}

static const char *bridge_name(const struct attachment *self)
{
	struct bridge *bridge;
	enum side side;

	if (serial_of(self)) {
		bridge = bridge_of_nio(serial_of(self), &side);
		return bridge ? bridge->link.name : "-";
	}
	bridge = bridge_of_interface(self->spec.host_if);
	return bridge ? bridge->link.name : "-";
}

/* ---- changes of state */

static void tell(struct attachment *self)
{
	if (self->watcher)
		self->watcher->news(self->watcher, self->state,
				    self->problem.code ? &self->problem : NULL);
}

static void set_state(struct attachment *self, enum attach_state state)
{
	int waits = (state == ATTACH_WAITING) - (self->state == ATTACH_WAITING);

	self->state = state;
	self->since = clock_now();
	session_expect(&listener, waits);
}

static void set_problem(struct attachment *self, const struct err *problem)
{
	bool is_new = !self->problem.code || strcmp(self->problem.text, problem->text) != 0;

	self->problem = *problem;
	/* that the container is not there is what it waits for, no trouble */
	if (is_new && problem->code != ENOENT)
		log_error("docker %s:%s: %s", self->container, self->spec.interface, problem->text);
}

static void leave_container(struct attachment *self)
{
	if (self->state != ATTACH_ATTACHED)
		return;
	loop_remove(session_loop(), &self->end);
	if (self->nio)
		self->plug.device = swap_device(self, NULL);
	self->former = self->plug.host;
	dispose(&self->plug);
	set_state(self, ATTACH_WAITING);
}

static void end_ready(struct loop_source *source, uint32_t events)
{
	struct attachment *self = container_of(source, struct attachment, end);

	(void)events;
	log_info("docker %s:%s: the container has stopped", self->container, self->spec.interface);
	leave_container(self);
	look_at(self);
}

/* The end of its run is noticed from here on. */
static int watch_run(struct attachment *self, struct err *err)
{
	self->end = (struct loop_source){ .fd = self->plug.pidfd, .ready = end_ready };
	return loop_add(session_loop(), &self->end, EPOLLIN, err);
}

static void enter_container(struct attachment *self, struct plug *plug)
{
	struct plug old = { .pidfd = -1 };
	struct err err;

	leave_container(self);
	self->plug = *plug;
	*plug = (struct plug){ .pidfd = -1 };
	if (watch_run(self, &err) < 0) {
		set_problem(self, &err);
		dispose(&self->plug);
		return;
	}
	/* of an adopted TAP NIO: it has kept the one of the last run */
	old.device = swap_device(self, self->plug.device);
	if (old.device)
		dispose(&old);
	self->plug.device = NULL;
	self->former.index = 0;
	self->plugged++;
	self->problem.code = 0;
	set_state(self, ATTACH_ATTACHED);
	log_info("docker %s:%s: attached to process %d", self->container, self->spec.interface,
		 (int)self->plug.run.pid);
}

/* ---- looking at the container */

static void free_attachment(struct attachment *self)
{
	loop_timer_cancel(session_loop(), &self->retry);
	free(self);
}

static void unlink_attachment(struct attachment *self)
{
	struct attachment **place = &attachments;

	while (*place != self)
		place = &(*place)->next;
	*place = self->next;
	if (!self->next)
		attachments_end = place;
	if (self->state == ATTACH_WAITING)
		session_expect(&listener, -1);
	if (!attachments)
		session_unlisten(&listener);
}

/* The end of an attachment. A pair of the client stays as it is. What is ours is gone when
 * whoever closes the NIO has waited for that.
 */
static void end_attachment(struct attachment *self)
{
	static const struct err closed = { .code = ECANCELED, .text = "it was deleted meanwhile" };

	unlink_attachment(self);
	if (self->state == ATTACH_ATTACHED) {
		loop_remove(session_loop(), &self->end);
		if (self->spec.backend == PLUG_PAIR)
			self->plug.host.index = 0;
		plug_out_later(&self->plug);
	}
	if (self->watcher)
		self->watcher->news(self->watcher, ATTACH_GONE, &closed);
	loop_timer_cancel(session_loop(), &self->retry);
	self->ended = true;
	if (self->job)
		departing++;
	else
		free_attachment(self);
}

static void job_work(struct session_job *base, struct engine *engine)
{
	struct attach_job *job = container_of(base, struct attach_job, job);
	/* not changed while there is a job */
	const struct plug_request request = {
		.reference = job->attachment->reference,
		.spec = &job->spec,
		.known = job->is_known ? &job->known : NULL,
		.former = &job->former,
	};

	job->result = plug_in(engine, &request, &job->plug, &job->err);
}

/* A container that was not given by its name was given by its id. One that is being removed may
 * have lost its name.
 */
static void learn(struct attachment *self, const struct plug_run *run)
{
	if (!*run->id)
		return;
	strcpy(self->last_id, run->id);
	if (*run->name && strcmp(run->name, self->container) != 0) {
		self->by_id = true;
		strcpy(self->reference, run->id);
	}
}

static void look_later(struct attachment *self)
{
	uint64_t wait = RETRY_MIN << (self->failures < 5 ? self->failures : 5);

	self->failures++;
	loop_timer_set(session_loop(), &self->retry,
		       clock_now() + (wait < RETRY_MAX ? wait : RETRY_MAX));
}

/* What may be otherwise at the next look is not worth a word. */
static bool may_pass(const struct attachment *self, const struct attach_job *job)
{
	/* a name is taken, perhaps by what is on its way out */
	if (job->result == -EEXIST)
		return departing || departures != job->departures;
	/* the process has ended, perhaps, and the engine has yet to notice */
	return job->result == -ESRCH && self->failures < PATIENT_LOOKS;
}

static void judge(struct attachment *self, struct attach_job *job)
{
	learn(self, &job->plug.run);
	switch (job->result) {
	case PLUG_DONE:
		self->failures = 0;
		enter_container(self, &job->plug);
		break;
	case PLUG_UNCHANGED:
	case PLUG_NOT_RUNNING:
		self->failures = 0;
		self->problem.code = 0;
		break;
	case -ENOENT:
		set_problem(self, &job->err);
		if (self->by_id && self->state == ATTACH_WAITING)
			set_state(self, ATTACH_GONE);
		break;
	default:
		if (!may_pass(self, job))
			set_problem(self, &job->err);
		look_later(self);
	}
}

static void job_done(struct session_job *base)
{
	struct attach_job *job = container_of(base, struct attach_job, job);
	struct attachment *self = job->attachment;

	if (base->err.code) {
		job->err = base->err;
		job->result = -base->err.code;
		job->plug = (struct plug){ .pidfd = -1 };
	}
	self->job = NULL;
	if (self->ended) {
		dispose(&job->plug);
		has_departed();
		free_attachment(self);
	} else {
		judge(self, job);
		if (self->look_again)
			look_at(self);
		/* whoever hears of it may end the attachment */
		tell(self);
	}
	free(job);
}

/* Finds out how the container is and does what follows from it, soon. */
static void look_at(struct attachment *self)
{
	struct attach_job *job;

	self->look_again = self->job;
	if (self->job || self->state == ATTACH_GONE)
		return;
	loop_timer_cancel(session_loop(), &self->retry);
	job = calloc(1, sizeof(*job));
	if (!job) {
		look_later(self);
		return;
	}
	job->job.work = job_work;
	job->job.done = job_done;
	job->attachment = self;
	job->is_known = self->state == ATTACH_ATTACHED;
	job->known = self->plug.run;
	job->spec = self->spec;
	job->former = self->former;
	job->departures = departures;
	job->plug.pidfd = -1;
	self->job = job;
	session_run(&job->job);
}

static void retry(struct loop_timer *timer)
{
	look_at(container_of(timer, struct attachment, retry));
}

/* attach_reference_matches() - whether an event is about the container that a user means
 * @reference: a name, an id or the beginning of one
 */
bool attach_reference_matches(const char *reference, const struct engine_event *event)
{
	return !strcmp(reference, event->name) ||
	       !strncmp(reference, event->id, strlen(reference));
}

static bool concerns(const struct attachment *self, const struct engine_event *event, bool fresh)
{
	bool same = !strcmp(event->id, self->last_id);

	if (self->state == ATTACH_GONE || event->action == ENGINE_EVENT_DIE)
		return false;
	/* of this run everything is known, until its process ends, or the engine has lost it */
	if (self->state == ATTACH_ATTACHED && same)
		return fresh && event->action == ENGINE_EVENT_START;
	return same || attach_reference_matches(self->reference, event);
}

static void on_event(struct session_listener *source, const struct engine_event *event, bool fresh)
{
	struct attachment *next;

	(void)source;
	for (struct attachment *self = attachments; self; self = next) {
		next = self->next;
		if (!concerns(self, event, fresh) || (!fresh && self->retry.place))
			continue;
		if (fresh)
			self->failures = 0;
		look_at(self);
	}
}

static void on_refresh(struct session_listener *source)
{
	struct attachment *next;

	(void)source;
	for (struct attachment *self = attachments; self; self = next) {
		next = self->next;
		self->failures = 0;
		look_at(self);
	}
}

static struct session_listener listener = { .event = on_event, .refresh = on_refresh };

/* ---- Docker NIOs */

struct loss {
	struct loop_task task;
	uint64_t number;		/* of the attachment, which may have ended */
};

static void take_loss(struct loop_task *task)
{
	struct loss *loss = container_of(task, struct loss, task);
	struct attachment *self = attachments;
	struct bridge *bridge;
	enum side side;

	while (self && self->number != loss->number)
		self = self->next;
	free(loss);
	if (!self || self->state != ATTACH_ATTACHED)
		return;
	/* it may have got another device meanwhile */
	bridge = bridge_of_nio(serial_of(self), &side);
	if (!bridge || !link_device_is_gone(&bridge->link, side))
		return;
	leave_container(self);
	look_later(self);
}

/* On the worker. The container has ended, or somebody has deleted the interface. */
static void on_lost(struct nio_docker_owner *owner)
{
	const struct attachment *self = container_of(owner, struct attachment, owner);
	struct loss *loss = malloc(sizeof(*loss));

	if (!loss)
		return;
	loss->task.run = take_loss;
	loss->number = self->number;
	loop_post(session_loop(), &loss->task);
}

static void on_closed(struct nio_docker_owner *owner)
{
	end_attachment(container_of(owner, struct attachment, owner));
}

static const char *on_state(const struct nio_docker_owner *owner)
{
	return state_names[container_of(owner, struct attachment, owner)->state];
}

static void make_mac(uint8_t mac[MAC_LEN])
{
	uint64_t number = rng_fresh();

	memcpy(mac, &number, MAC_LEN);
	/* locally administered, of one interface */
	mac[0] = (uint8_t)((mac[0] & 0xfc) | 2);
}

static struct attachment *new_attachment(const struct plug_spec *spec, const char *container,
					 struct err *err)
{
	struct attachment *self = calloc(1, sizeof(*self));

	if (!self) {
		err_sys(err, ENOMEM, "docker %s", container);
		return NULL;
	}
	self->number = ++last_number;
	self->spec = *spec;
	snprintf(self->container, sizeof(self->container), "%s", container);
	strcpy(self->reference, self->container);
	self->plug.pidfd = -1;
	self->retry.expired = retry;
	self->owner = (struct nio_docker_owner){
		.lost = on_lost, .closed = on_closed, .state = on_state,
	};
	return self;
}

/* Has it take part in what happens, in a state that was set. */
static void begin(struct attachment *self)
{
	if (!attachments)
		session_listen(&listener);
	*attachments_end = self;
	attachments_end = &self->next;
	self->since = clock_now();
	if (self->state == ATTACH_WAITING)
		session_expect(&listener, 1);
}

static void complete_veth(struct plug_spec *spec, uint64_t number, const char *desc)
{
	if (!*spec->host_if)
		snprintf(spec->host_if, sizeof(spec->host_if), "ubh%08x",
			 (unsigned)rng_fresh());
	leftover_alias(spec->alias, number, desc);
}

/* Two for the same would take turns, in no order, with each run of the container. */
static int check_unused(const struct attach_spec *spec, struct err *err)
{
	const char *interface = spec->plug.interface;

	for (const struct attachment *self = attachments; self; self = self->next) {
		if (self->nio && attach_nio_matches(self->nio, spec->container, interface))
			return err_set(err, EEXIST,
				       "%s:%s is an endpoint of bridge '%s' already",
				       spec->container, interface, bridge_name(self));
	}
	return 0;
}

/* attach_nio_new() - a Docker NIO, which waits for its container from now on
 *
 * Return: the NIO, or NULL with @err set; code EEXIST: there is one for this container, in the
 * same words, and this interface.
 */
struct nio *attach_nio_new(const struct attach_spec *spec, struct err *err)
{
	char desc[ENGINE_NAME_MAX + NETDEV_NAME_MAX];
	struct attachment *self;
	struct nio *nio;

	if (check_unused(spec, err) < 0 || session_watch(err) < 0)
		return NULL;
	self = new_attachment(&spec->plug, spec->container, err);
	if (!self)
		return NULL;
	snprintf(desc, sizeof(desc), "%s:%s", spec->container, spec->plug.interface);
	if (!spec->has_mac)
		make_mac(self->spec.mac);
	if (spec->plug.backend == PLUG_VETH)
		complete_veth(&self->spec, self->number, desc);
	self->nio = nio = nio_docker_new(desc, &self->owner, err);
	if (!nio) {
		free(self);
		return NULL;
	}
	begin(self);
	look_at(self);
	return nio;
}

static struct attachment *of_nio(const struct nio *nio)
{
	return container_of(nio_docker_owner(nio), struct attachment, owner);
}

/* attach_nio_watch() - have @watcher hear of a Docker NIO; NULL: nobody any more */
void attach_nio_watch(const struct nio *nio, struct attach_watcher *watcher)
{
	of_nio(nio)->watcher = watcher;
}

/* attach_nio_matches() - whether a NIO is the Docker NIO for this container and interface */
bool attach_nio_matches(const struct nio *nio, const char *container, const char *interface)
{
	const struct attachment *self;

	if (!nio_is_docker(nio))
		return false;
	self = of_nio(nio);
	return !strcmp(self->container, container) && !strcmp(self->spec.interface, interface);
}

/* ---- what clients have plugged themselves */

/* What was moved in under the same name before is not there any more. */
static void forget_adopted_interface(const char *id, const char *interface)
{
	struct attachment *next;

	for (struct attachment *self = attachments; self; self = next) {
		next = self->next;
		if (!self->nio && !strcmp(self->reference, id) &&
		    !strcmp(self->spec.interface, interface))
			end_attachment(self);
	}
}

/* attach_adopt() - bring back what is in a container already whenever that is restarted
 * @adoption: its plug belongs to the attachment from here on, if this succeeds
 */
int attach_adopt(struct attach_adoption *adoption, struct err *err)
{
	const struct plug_run *run = &adoption->plug.run;
	struct attachment *self;

	if (session_watch(err) < 0)
		return -err->code;
	forget_adopted_interface(run->id, adoption->spec.interface);
	self = new_attachment(&adoption->spec, run->name, err);
	if (!self)
		return -err->code;
	self->tap_serial = adoption->nio_serial;
	self->by_id = true;
	strcpy(self->reference, run->id);
	strcpy(self->last_id, run->id);
	self->plug = adoption->plug;
	self->state = ATTACH_ATTACHED;
	self->plugged = 1;
	if (watch_run(self, err) < 0) {
		free(self);
		return -err->code;
	}
	begin(self);
	return 0;
}

/* attach_note_port() - see plug_note_port() */
void attach_note_port(const char *bridge, const char *interface)
{
	for (struct attachment *self = attachments; self; self = self->next)
		plug_note_port(&self->spec, bridge, interface);
}

/* attach_forget_pair() - a client's pair, named by either end, is not to come back */
void attach_forget_pair(const char *interface)
{
	struct attachment *next;

	for (struct attachment *self = attachments; self; self = next) {
		next = self->next;
		if (plug_is_pair(&self->spec, interface))
			end_attachment(self);
	}
}

/* attach_forget_tap() - the device of a TAP NIO, known by its serial, is not to come back */
void attach_forget_tap(uint64_t serial)
{
	struct attachment *next;

	for (struct attachment *self = attachments; self; self = next) {
		next = self->next;
		if (self->tap_serial == serial)
			end_attachment(self);
	}
}

/* attach_forget_adopted() - nothing that clients have plugged is to come back */
void attach_forget_adopted(void)
{
	struct attachment *next;

	for (struct attachment *self = attachments; self; self = next) {
		next = self->next;
		if (!self->nio)
			end_attachment(self);
	}
}

/* attach_list() - have @visit look at all attachments, the oldest first */
void attach_list(void (*visit)(const struct attach_info *info, void *data), void *data)
{
	for (const struct attachment *self = attachments; self; self = self->next) {
		const struct attach_info info = {
			.bridge = bridge_name(self),
			.container = self->container,
			.interface = self->spec.interface,
			.host_if = *self->spec.host_if ? self->spec.host_if : "-",
			.state = state_names[self->state],
			.problem = self->problem.code ? self->problem.text : "",
			.pid = self->state == ATTACH_ATTACHED ? self->plug.run.pid : 0,
			.plugged = self->plugged,
			.since_seconds = (clock_now() - self->since) / NSEC_PER_SEC,
		};

		visit(&info, data);
	}
}
