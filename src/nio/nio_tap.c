/* SPDX-License-Identifier: GPL-3.0-or-later */
/* TAP devices: made with the NIO and gone with it, or, if they were there before, borrowed.
 *
 * Theory of operation
 *
 * With IFF_VNET_HDR each frame has a virtio header, and with TUNSETOFFLOAD the
 * kernel may leave checksums open and hand over whole segment trains. Both are
 * tried and done without where the kernel refuses.
 *
 * A device of our own begins without them, as the one of the classic program
 * that other tools know, and gets them when there is something to gain: when it
 * is about to be moved into a container or to become a port of a Linux bridge, or
 * under load. Which it has is decided where a file attaches to it, so it is let go
 * of and taken again at once.
 *
 * A path instead of a name ("/dev/tap7") is the character device of a macvtap. When
 * that is deleted its file takes frames as ever and reports nothing, so it is looked
 * for from time to time. The next one has another path: it is not taken again.
 *
 * The device may be moved to another network namespace and keeps working. When
 * it is deleted, or its namespace ends, its file reports EBADFD or EFAULT for
 * ever. A device of our own is not brought back then: by its name, somebody
 * else's could be meant. A borrowed one is taken again when it is there again.
 * That, and to close the old file, waits for the lock that the kernel has for all
 * changes of interfaces, which others may hold for long: a thread does it, and the
 * worker looks from time to time whether it is done.
 */
#include <config.h>

#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <sched.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/str.h"
#include "base/thread.h"
#include "nio/closing.h"
#include "nio/interface.h"
#include "nio/nio.h"
#include "nio/sock.h"
#include "nio/vnet.h"

/* Kernel 6.2; Debian 12's headers are older. */
#ifndef TUN_F_USO4
#define TUN_F_USO4 0x20
#define TUN_F_USO6 0x40
#endif

/* A turn ends after this many bytes, so that other links get theirs. */
#define TURN_BYTES (512 * 1024)

#define TUN_PATH "/dev/net/tun"

/* A batch of so many frames is traffic that gains by offloads, and bears the loss of what the
 * host sends while the device has no file: some 10 ms, once.
 */
#define UPGRADE_LOAD 16

/* How often it is looked whether a macvtap is still there. */
#define LOOK_INTERVAL (10 * NSEC_PER_MSEC)

/* For so long a worker waits for a device to be taken again; mostly that is enough. */
#define RETAKE_NSEC (5 * NSEC_PER_MSEC)

struct attaching;

struct nio_tap {
	struct nio nio;
	struct attaching *attaching;	/* under way; NULL: none */
	struct vnet_support support;
	bool borrowed;
	bool upgradable;		/* to be attached to anew, with offloads */
	unsigned macvtap;		/* the index of its interface, 0: it is none, or not here */
	bool severed;			/* that had been deleted at the last look */
	uint64_t next_look;		/* monotonic */
};

static struct nio_tap *to_tap(struct nio *nio)
{
	return container_of(nio, struct nio_tap, nio);
}

static bool device_is_gone(int error)
{
	return error == EBADFD || error == EFAULT || error == ENODEV;
}

/* Adds one frame; -EAGAIN: there is none, -ENODEV: the device is gone, which the kernel calls
 * by names that tell people nothing.
 */
static int read_frame(struct nio_tap *tap, int fd, struct batch *batch)
{
	struct virtio_net_hdr vnet = { 0 };
	uint8_t *data = batch_slot(batch, batch->count);
	struct iovec piece[2] = { { &vnet, sizeof(vnet) }, { data, FRAME_MAX } };
	size_t skip = tap->support.header ? 0 : 1;
	ssize_t got = readv(fd, piece + skip, (int)(2 - skip));

	if (got < 0) {
		if (device_is_gone(errno))
			return -ENODEV;
		if (errno != EAGAIN)
			nio_count_error(&tap->nio, errno);
		return -EAGAIN;
	}
	if (!skip)
		got -= (ssize_t)sizeof(vnet);
	if (got <= 0)
		return -EAGAIN;
	batch_add(batch, data, (uint32_t)got)->vnet = vnet;
	return 0;
}

/* Reads until nothing is left, which is -EAGAIN, or the turn is over. */
static int read_frames(struct nio_tap *tap, int fd, struct batch *batch)
{
	uint32_t bytes = 0;
	int error = 0;

	while (batch->count < BATCH_SLOTS && bytes < TURN_BYTES) {
		error = read_frame(tap, fd, batch);
		if (error)
			break;
		bytes += batch->frame[batch->count - 1].len;
	}
	return error;
}

/* Asks for as much offload as this kernel gives. The length of the header belongs to the
 * device: whoever had it before may have left another.
 */
static void negotiate_offload(int fd, struct vnet_support *support)
{
	const unsigned basic = TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6 | TUN_F_TSO_ECN;
	const int header_len = sizeof(struct virtio_net_hdr);

	ioctl(fd, TUNSETVNETHDRSZ, &header_len);
	support->header = true;
	support->udp = !ioctl(fd, TUNSETOFFLOAD, basic | TUN_F_USO4 | TUN_F_USO6);
	support->tcp = support->udp || !ioctl(fd, TUNSETOFFLOAD, basic);
}

/* So do the offloads, and a user without the header could not know what he gets. */
static void refuse_offload(int fd)
{
	ioctl(fd, TUNSETOFFLOAD, 0);
}

static int set_interface(int fd, struct ifreq *request, short extra_flags)
{
	request->ifr_flags = (short)(IFF_TAP | IFF_NO_PI | extra_flags);
	return ioctl(fd, TUNSETIFF, request) < 0 ? -errno : 0;
}

static int open_device(const char *path, struct err *err)
{
	int fd = open(path, O_RDWR | O_CLOEXEC | O_NONBLOCK);

	return fd < 0 ? err_sys(err, errno, "%s", path) : fd;
}

/* 0 where it has been moved to another namespace. */
static unsigned index_of_macvtap(int fd)
{
	struct ifreq request;

	return ioctl(fd, TUNGETIFF, &request) < 0 ? 0 : interface_find(request.ifr_name);
}

/* Attaches to a device that others made, or to a macvtap by its path. */
static int borrow(struct nio_tap *tap, const char *device, struct err *err)
{
	bool by_path = *device == '/';
	AUTO_CLOSE int fd = open_device(by_path ? device : TUN_PATH, err);
	struct ifreq request = { 0 };
	int error = -EINVAL;

	if (fd < 0)
		return fd;
	if (!by_path)
		strcpy(request.ifr_name, device);
	tap->support = (struct vnet_support){ 0 };
	if (nio_offload)
		error = set_interface(fd, &request, IFF_VNET_HDR);
	if (!error)
		negotiate_offload(fd, &tap->support);
	else if ((error = set_interface(fd, &request, 0)))
		return err_sys(err, -error, "TUNSETIFF");
	else
		refuse_offload(fd);
	tap->nio.takes_gso = tap->support.tcp;
	tap->macvtap = by_path ? index_of_macvtap(fd) : 0;
	return take_fd(&fd);
}

/* Leaves a borrowed device as its next user expects it. */
static void give_back(int fd)
{
	refuse_offload(fd);
	close(fd);
}

/* Makes a device; the kernel's name for it goes to @name. */
static int make(struct nio_tap *tap, const char *device, char name[IFNAMSIZ], struct err *err)
{
	AUTO_CLOSE int fd = open_device(TUN_PATH, err);
	struct ifreq request = { 0 };
	int error;

	if (fd < 0)
		return fd;
	strcpy(request.ifr_name, device);
	error = set_interface(fd, &request, 0);
	if (error)
		return err_sys(err, -error, "TUNSETIFF");
	tap->upgradable = nio_offload;
	strcpy(name, request.ifr_name);
	return take_fd(&fd);
}

/* ---- the upgrade */

/* A file attaches to devices of the namespace in which it was opened, and the device
 * may have been moved. This thread goes after it, so it must be one for nothing else.
 */
static int open_in_namespace_of(int device_fd)
{
	AUTO_CLOSE int there = ioctl(device_fd, TUNGETDEVNETNS, 0);
	AUTO_CLOSE int here = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
	struct stat a, b;

	if (there < 0 || here < 0 || fstat(there, &a) < 0 || fstat(here, &b) < 0)
		return -1;
	if ((a.st_dev != b.st_dev || a.st_ino != b.st_ino) && setns(there, CLONE_NEWNET) < 0)
		return -1;
	return open(TUN_PATH, O_RDWR | O_CLOEXEC | O_NONBLOCK);
}

/* Attaches to the device anew, this time with offloads.
 *
 * It stays as it is where its namespace may not be entered. Between the two files
 * only its being persistent keeps it alive. Should nobody get it back, the new file
 * reports that the device is gone.
 */
static void upgrade(struct nio_tap *tap)
{
	int old = tap->nio.fd, fd = open_in_namespace_of(old);
	struct ifreq request;

	/* its name may have changed */
	if (fd < 0 || ioctl(old, TUNGETIFF, &request) < 0 || ioctl(old, TUNSETPERSIST, 1) < 0) {
		cleanup_close(&fd);
		return;
	}
	close(old);
	tap->nio.fd = fd;
	if (!set_interface(fd, &request, IFF_VNET_HDR))
		negotiate_offload(fd, &tap->support);
	else
		set_interface(fd, &request, 0);
	ioctl(fd, TUNSETPERSIST, 0);
	tap->nio.takes_gso = tap->support.tcp;
}

static int tap_recv(struct nio *nio, struct batch *batch)
{
	struct nio_tap *tap = to_tap(nio);
	int error = read_frames(tap, nio->fd, batch);

	if (error == -EAGAIN && tap->upgradable && batch->count >= UPGRADE_LOAD)
		nio->wants_renewal = true;
	return error == -EAGAIN ? 0 : error;
}

static int write_out(const struct nio_tap *tap, struct coalesced *out)
{
	struct iovec piece[2 + COALESCE_MAX];
	int count = 0;

	if (tap->support.header)
		piece[count++] = (struct iovec){ &out->vnet, sizeof(out->vnet) };
	memcpy(piece + count, out->piece, out->pieces * sizeof(*piece));
	count += (int)out->pieces;
	if (writev(tap->nio.fd, piece, count) >= 0)
		return 0;
	if (device_is_gone(errno))
		errno = ENODEV;
	return errno;
}

/* Asking the file itself waits for the kernel's lock, so that is done only where the index is
 * not there any more: the interface may have been moved.
 */
static bool is_severed(struct nio_tap *tap)
{
	uint64_t now = clock_now();
	char name[IFNAMSIZ];
	struct ifreq request;

	if (now < tap->next_look)
		return tap->severed;
	tap->next_look = now + LOOK_INTERVAL;
	if (if_indextoname(tap->macvtap, name))
		return false;
	tap->severed = ioctl(tap->nio.fd, TUNGETIFF, &request) < 0;
	if (!tap->severed)
		tap->macvtap = 0;
	return tap->severed;
}

static void tap_send(struct nio *nio, struct batch *batch)
{
	struct nio_tap *tap = to_tap(nio);
	struct coalesced out;

	if (tap->macvtap && is_severed(tap)) {
		batch_drop(batch, DROP_DOWN);
		errno = ENODEV;
		return;
	}
	for (unsigned i = 0; i < batch->count;) {
		unsigned taken = 1;

		if (batch->frame[i].drop == FRAME_KEEP) {
			int error;

			taken = vnet_gather(batch, i, &tap->support, &out);
			error = write_out(tap, &out);
			for (unsigned k = i; error && k < i + taken; k++) {
				struct frame *frame = &batch->frame[k];

				frame->drop = error == EINVAL ? DROP_RUNT : sock_drop_reason(error);
			}
		}
		i += taken;
	}
}

/* ---- attaching to a device, aside */

/* Belongs to the NIO and to the thread; who is the last frees it. */
struct attaching {
	atomic_uint owners;
	atomic_bool done;		/* what follows is the NIO's to read */
	struct err err;
	struct nio_tap tap;		/* the file and what it can do */
	int old;			/* the file of a device that is gone */
	char device[IFNAMSIZ];		/* to be borrowed */
};

static void attaching_release(struct attaching *attaching)
{
	struct nio_tap *tap = &attaching->tap;

	if (atomic_fetch_sub(&attaching->owners, 1) > 1)
		return;
	if (tap->nio.fd >= 0 && tap->borrowed)
		give_back(tap->nio.fd);
	else
		cleanup_close(&tap->nio.fd);
	free(attaching);
}

static void attaching_end(struct attaching *attaching)
{
	atomic_store(&attaching->done, true);
	attaching_release(attaching);
}

/* The device of others, which was deleted, is there again. */
static void *do_retake(void *arg)
{
	struct attaching *attaching = arg;

	cleanup_close(&attaching->old);
	attaching->tap.nio.fd = borrow(&attaching->tap, attaching->device, &attaching->err);
	attaching_end(attaching);
	return NULL;
}

static void *do_upgrade(void *arg)
{
	struct attaching *attaching = arg;

	upgrade(&attaching->tap);
	attaching_end(attaching);
	return NULL;
}

/* Hands the file of the NIO over to a thread. */
static int attaching_start(struct nio_tap *tap, struct err *err)
{
	struct attaching *attaching = calloc(1, sizeof(*attaching));
	int error;

	if (!attaching)
		return err_sys(err, ENOMEM, "tap %s", tap->nio.desc);
	attaching->owners = 2;
	attaching->tap.borrowed = tap->borrowed;
	attaching->tap.nio.fd = tap->borrowed ? -1 : tap->nio.fd;
	attaching->old = tap->borrowed ? tap->nio.fd : -1;
	if (tap->borrowed)
		strcpy(attaching->device, tap->nio.desc);
	error = thread_start_detached(tap->borrowed ? do_retake : do_upgrade, attaching);
	if (error) {
		free(attaching);
		return err_sys(err, -error, "thread");
	}
	tap->nio.fd = -1;
	tap->attaching = attaching;
	return 0;
}

/* Whether it is done, after having waited for a moment. */
static bool attaching_is_done(const struct attaching *attaching, uint64_t wait_nsec)
{
	const struct timespec pause = { .tv_nsec = NSEC_PER_MSEC / 4 };
	const uint64_t begin = clock_now();

	while (!atomic_load(&attaching->done)) {
		if (clock_now() - begin >= wait_nsec)
			return false;
		nanosleep(&pause, NULL);
	}
	return true;
}

/* What it has got is the NIO's from here on. */
static int attaching_finish(struct nio_tap *tap, struct err *err)
{
	struct attaching *attaching = tap->attaching;
	/* NOLINTNEXTLINE(clang-analyzer-core.NullDereference): attaching_start() has set it */
	int fd = attaching->tap.nio.fd;

	tap->attaching = NULL;
	if (fd < 0) {
		*err = attaching->err;
	} else {
		tap->nio.fd = fd;
		tap->nio.takes_gso = attaching->tap.nio.takes_gso;
		tap->support = attaching->tap.support;
		attaching->tap.nio.fd = -1;
	}
	attaching_release(attaching);
	return fd < 0 ? -err->code : 0;
}

static int tap_revive(struct nio *nio, struct err *err)
{
	struct nio_tap *tap = to_tap(nio);
	uint64_t wait = 0;

	if (!tap->attaching) {
		if (!tap->borrowed || !interface_find(nio->desc))
			return err_set(err, ENODEV, "tap %s is gone", nio->desc);
		if (attaching_start(tap, err) < 0)
			return -err->code;
		wait = RETAKE_NSEC;
	}
	if (!attaching_is_done(tap->attaching, wait))
		return err_sys(err, ENODEV, "tap %s", nio->desc);
	return attaching_finish(tap, err);
}

/* Without a thread for it the device stays as it is. */
static bool renew(struct nio_tap *tap, uint64_t wait_nsec)
{
	struct err ignored;

	tap->nio.wants_renewal = false;
	if (tap->borrowed || (!tap->attaching && !tap->upgradable))
		return true;
	tap->upgradable = false;
	if (!tap->attaching && attaching_start(tap, &ignored) < 0)
		return true;
	if (!attaching_is_done(tap->attaching, wait_nsec))
		return false;
	attaching_finish(tap, &ignored);
	return true;
}

static bool tap_renew(struct nio *nio)
{
	return renew(to_tap(nio), 0);
}

static void tap_before_move(struct nio *nio)
{
	renew(to_tap(nio), UINT64_MAX);
}

/* ---- the end */

static void tap_close(struct nio *nio)
{
	struct nio_tap *tap = to_tap(nio);

	/* a device of our own has gone when its NIO has */
	tap->upgradable = false;
	renew(tap, UINT64_MAX);
	if (tap->attaching)
		attaching_release(tap->attaching);
	if (nio->fd >= 0 && tap->borrowed)
		closing_call(give_back, nio->fd);
	else if (nio->fd >= 0)
		closing_add(nio->fd);
	free(tap);
}

/* The two NIOs exchange their devices. */
static struct nio *tap_swap(struct nio *nio, struct nio *device)
{
	struct nio_tap *tap = to_tap(nio), *other = to_tap(device);
	const struct nio_tap had = *tap;

	if (tap->attaching)
		attaching_release(tap->attaching);
	tap->attaching = NULL;
	tap->nio.fd = other->nio.fd;
	tap->nio.takes_gso = other->nio.takes_gso;
	tap->nio.gone = tap->nio.busy = tap->nio.wants_renewal = false;
	tap->support = other->support;
	tap->borrowed = other->borrowed;
	tap->upgradable = other->upgradable;
	other->nio.fd = had.nio.fd;
	other->borrowed = had.borrowed;
	return device;
}

static const struct nio_ops tap_ops = {
	.kind = "tap",
	.recv = tap_recv,
	.send = tap_send,
	.revive = tap_revive,
	.renew = tap_renew,
	.before_move = tap_before_move,
	.swap = tap_swap,
	.close = tap_close,
};

/* nio_is_tap() - whether a NIO was made by nio_tap_open() */
bool nio_is_tap(const struct nio *nio)
{
	return nio->ops == &tap_ops;
}

/* nio_tap_is_device() - whether a TAP NIO's device was made by ubridge, and has this name
 * here: not what it was called once, or is called elsewhere; where the NIO is used
 */
bool nio_tap_is_device(const struct nio *nio, const char *name)
{
	AUTO_CLOSE int there = -1, here = -1;
	struct ifreq request;
	struct stat a, b;

	if (container_of(nio, struct nio_tap, nio)->borrowed ||
	    ioctl(nio->fd, TUNGETIFF, &request) < 0 || strcmp(request.ifr_name, name) != 0)
		return false;
	there = ioctl(nio->fd, TUNGETDEVNETNS, 0);
	here = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
	/* where the kernel does not say, the name has to do */
	return fstat(there, &a) < 0 || fstat(here, &b) < 0 ||
	       (a.st_dev == b.st_dev && a.st_ino == b.st_ino);
}

/* nio_tap_open() - make a TAP device, or use one that is there
 * @device: its name, perhaps with a %d for the kernel to fill in, or the path of
 *          a macvtap's character device
 *
 * Return: the NIO, or NULL with @err set.
 */
struct nio *nio_tap_open(const char *device, struct err *err)
{
	char name[IFNAMSIZ] = "";
	struct nio_tap *tap;

	if (*device != '/' && !ifname_fits(device)) {
		err_set(err, EINVAL, "tap: '%s' is no interface name", device);
		return NULL;
	}
	tap = calloc(1, sizeof(*tap));
	if (!tap) {
		err_sys(err, ENOMEM, "tap");
		return NULL;
	}
	tap->nio.ops = &tap_ops;
	tap->borrowed = *device == '/' || interface_find(device);
	tap->nio.fd = tap->borrowed ? borrow(tap, device, err) : make(tap, device, name, err);
	if (tap->nio.fd < 0) {
		err_wrap(err, "tap %s", device);
		free(tap);
		return NULL;
	}
	tap->nio.desc = strdup(*name ? name : device);
	if (!tap->nio.desc) {
		err_sys(err, ENOMEM, "tap");
		tap_close(&tap->nio);
		return NULL;
	}
	return &tap->nio;
}
