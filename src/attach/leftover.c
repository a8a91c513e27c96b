/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Theory of operation
 *
 * The host's end of each veth pair made for a Docker NIO has an alias that names the
 * process it belongs to: "ubridge:PIDNS:PID:STARTED:…". A number of a process means
 * something only in one PID namespace, and only until the process ends, so the
 * namespace and the time at which the process was started belong to it.
 *
 * What another process has left is removed when that process is dead beyond doubt. A
 * process of another PID namespace, or one that we may not look at, counts as alive.
 */
#include <config.h>

#include "attach/leftover.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/log.h"

#define ALIAS_FORMAT "ubridge:%ju:%d:%" PRIu64 ":"

struct owner {
	uintmax_t pid_namespace;
	pid_t pid;
	uint64_t started;		/* in ticks since the start of the machine; 0: unknown */
};

static uint64_t started_at(pid_t pid)
{
	char path[32], text[1024];
	const char *field;
	ssize_t length;
	uint64_t ticks;
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return 0;
	length = read(fd, text, sizeof(text) - 1);
	close(fd);
	text[length > 0 ? length : 0] = '\0';
	/* the name, field 2, may hold anything; the time is field 22 */
	field = strrchr(text, ')');
	for (int i = 2; field && i < 22; i++)
		field = strchr(field + 1, ' ');
	/* NOLINTNEXTLINE(cert-err34-c): printed by the kernel */
	return field && sscanf(field, "%" SCNu64, &ticks) == 1 ? ticks : 0;
}

static void get_self(struct owner *self)
{
	struct stat namespace = { 0 };

	if (stat("/proc/self/ns/pid", &namespace) < 0)
		namespace.st_ino = 0;
	self->pid_namespace = namespace.st_ino;
	self->pid = getpid();
	self->started = started_at(self->pid);
}

static bool is_dead(const struct owner *owner)
{
	uint64_t started;

	if (kill(owner->pid, 0) < 0 && errno == ESRCH)
		return true;
	started = started_at(owner->pid);
	return started && owner->started && started != owner->started;
}

struct search {
	struct owner self;
	int *index;			/* of what is to be removed */
	size_t count;
};

/* A namespace that can not be identified is nobody's. */
static void look_at(const struct netdev_info *info, void *data)
{
	struct search *search = data;
	struct owner owner;
	int *grown;

	/* NOLINTNEXTLINE(cert-err34-c): wrong numbers are nobody's */
	if (sscanf(info->alias, ALIAS_FORMAT, &owner.pid_namespace, &owner.pid, &owner.started) != 3 ||
	    strcmp(info->kind, "veth") != 0 || !search->self.pid_namespace ||
	    owner.pid_namespace != search->self.pid_namespace || !is_dead(&owner))
		return;
	grown = realloc(search->index, (search->count + 1) * sizeof(*grown));
	if (!grown)
		return;
	search->index = grown;
	grown[search->count++] = info->index;
}

/* leftover_alias() - the alias of an interface that this process makes
 * @number: different for each
 * @what: for people
 */
void leftover_alias(char alias[NETDEV_ALIAS_MAX], uint64_t number, const char *what)
{
	struct owner self;
	int length;

	get_self(&self);
	length = snprintf(alias, NETDEV_ALIAS_MAX, ALIAS_FORMAT "%" PRIu64 " %s",
			  self.pid_namespace, (int)self.pid, self.started, number, what);
	/* the kernel takes one byte less than it gives */
	if (length >= NETDEV_ALIAS_MAX - 1)
		alias[NETDEV_ALIAS_MAX - 2] = '\0';
}

/* leftover_remove() - remove what processes that are dead have left in this namespace */
void leftover_remove(void)
{
	struct search search = { 0 };
	struct err err;

	get_self(&search.self);
	if (netdev_for_each(look_at, &search, &err) < 0)
		log_error("looking for leftovers: %s", err.text);
	for (size_t i = 0; i < search.count; i++) {
		if (netdev_delete_index(search.index[i], &err) < 0 && err.code != ENODEV)
			log_error("leftover of a dead process: %s", err.text);
	}
	free(search.index);
}
