/* SPDX-License-Identifier: GPL-3.0-or-later */
/* For LD_PRELOAD: somebody has the kernel's lock for changes of interfaces
 *
 * While the file that UBRIDGE_LOCK names exists, calls for which the kernel takes that
 * lock do not return; if there is a word in it, only those that are told by this word.
 * Each that has to wait is told on standard error, and each call that would have the
 * kernel load a module, and wait for that. Where an interface is merely looked for, that
 * is told too.
 */
#include <dlfcn.h>
#include <fcntl.h>
#include <linux/if_packet.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#define DESCRIPTORS 1024

static int (*real_setsockopt)(int, int, int, const void *, socklen_t);
static int (*real_ioctl)(int, unsigned long, ...);
static int (*real_close)(int);
static unsigned (*real_if_nametoindex)(const char *);

static const char *lock_path;
static atomic_bool tap[DESCRIPTORS];	/* which of them are files of TAP devices */

static void find(void *function, const char *name)
{
	void *found = dlsym(RTLD_NEXT, name);

	memcpy(function, &found, sizeof(found));
}

__attribute__((constructor)) static void begin(void)
{
	lock_path = getenv("UBRIDGE_LOCK");
	find(&real_setsockopt, "setsockopt");
	find(&real_ioctl, "ioctl");
	find(&real_close, "close");
	find(&real_if_nametoindex, "if_nametoindex");
}

/* Whether somebody has it, as far as such calls go. */
static bool is_held(const char *what)
{
	char word[32] = "";
	int fd = lock_path ? open(lock_path, O_RDONLY | O_CLOEXEC) : -1;
	ssize_t length;

	if (fd < 0)
		return false;
	length = read(fd, word, sizeof(word) - 1);
	real_close(fd);
	return length <= 0 || !strcmp(word, what);
}

static void take_lock(const char *what)
{
	if (!is_held(what))
		return;
	dprintf(STDERR_FILENO, "waits: %s\n", what);
	while (is_held(what))
		usleep(1000);
}

int setsockopt(int fd, int level, int name, const void *value, socklen_t len)
{
	if (level == SOL_PACKET && name == PACKET_ADD_MEMBERSHIP)
		take_lock("promiscuous");
	if (level == SOL_SOCKET && name == SO_BINDTODEVICE)
		dprintf(STDERR_FILENO, "looks for: %.*s\n", (int)len, (const char *)value);
	return real_setsockopt(fd, level, name, value, len);
}

int ioctl(int fd, unsigned long request, ...)
{
	unsigned long argument;
	va_list arguments;
	int result;

	va_start(arguments, request);
	argument = va_arg(arguments, unsigned long);
	va_end(arguments);
	if (request == TUNSETIFF)
		take_lock("attach");
	if (request == TUNGETIFF || request == TUNSETPERSIST || request == TUNSETOFFLOAD ||
	    request == TUNSETVNETHDRSZ)
		take_lock("look at or change");
	result = real_ioctl(fd, request, argument);
	if (request == TUNSETIFF && result == 0 && fd < DESCRIPTORS)
		tap[fd] = true;
	return result;
}

int close(int fd)
{
	if (fd >= 0 && fd < DESCRIPTORS && atomic_exchange(&tap[fd], false))
		take_lock("detach");
	return real_close(fd);
}

unsigned if_nametoindex(const char *name)
{
	unsigned index = real_if_nametoindex(name);

	if (!index)
		dprintf(STDERR_FILENO, "waits: a module for %s\n", name);
	return index;
}
