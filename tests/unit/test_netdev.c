/* SPDX-License-Identifier: GPL-3.0-or-later */
/* net/: interfaces and namespaces, in a network namespace made for the test. */
#include <config.h>

#include "net/netdev.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/ethtool.h>
#include <linux/if_tun.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "net/netns.h"

#define LONGEST "abcdefghijklmno"
#define TOO_LONG "abcdefghijklmnop"
#define NO_PROCESS 4000000		/* close to the largest process number there is */

static const uint8_t some_mac[MAC_LEN] = { 0x02, 0, 0, 0, 0, 0x42 };
static const uint8_t multicast_mac[MAC_LEN] = { 0x01, 0, 0x5e, 0, 0, 1 };
static const uint8_t zero_mac[MAC_LEN];

static struct err err;
static int home = -1;			/* the namespace of the test */

/* Every success and every failure of the tests goes through these two. */
#define ok(call)                                                                               \
	do {                                                                                   \
		if ((call) < 0)                                                                \
			fail_msg("%s: %s", #call, err.text);                                   \
	} while (0)
#define fails(call, errno_)                                                                    \
	do {                                                                                   \
		memset(&err, 0, sizeof(err));                                                  \
		assert_int_equal(call, -(errno_));                                             \
		assert_int_equal(err.code, errno_);                                            \
		assert_non_null(strstr(err.text, strerror(errno_)));                           \
	} while (0)

/* What is there, asked in another way than the code under test asks. */

static int query(unsigned long request, struct ifreq *req, const char *name)
{
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	int ret;

	assert_true(fd >= 0);
	snprintf(req->ifr_name, sizeof(req->ifr_name), "%s", name);
	ret = ioctl(fd, request, req);
	close(fd);
	return ret;
}

static bool exists(const char *name)
{
	return if_nametoindex(name) != 0;
}

static bool is_up(const char *name)
{
	struct ifreq req = { 0 };

	assert_int_equal(query(SIOCGIFFLAGS, &req, name), 0);
	return req.ifr_flags & IFF_UP;
}

static bool has_mac(const char *name, const uint8_t mac[MAC_LEN])
{
	struct ifreq req = { 0 };

	assert_int_equal(query(SIOCGIFHWADDR, &req, name), 0);
	return !memcmp(req.ifr_hwaddr.sa_data, mac, MAC_LEN);
}

static int mtu_of(const char *name)
{
	struct ifreq req = { 0 };

	assert_int_equal(query(SIOCGIFMTU, &req, name), 0);
	return req.ifr_mtu;
}

static bool makes_checksums(const char *name)
{
	struct ethtool_value value = { .cmd = ETHTOOL_GTXCSUM };
	struct ifreq req = { .ifr_data = (char *)&value };

	assert_int_equal(query(SIOCETHTOOL, &req, name), 0);
	return value.data;
}

/* Whether "ip @args" says @expected. */
static bool ip_says(const char *args, const char *expected)
{
	char command[128], output[4096];
	size_t len;
	FILE *pipe;

	snprintf(command, sizeof(command), "ip %s 2>&1", args);
	pipe = popen(command, "r");
	assert_non_null(pipe);
	len = fread(output, 1, sizeof(output) - 1, pipe);
	output[len] = '\0';
	pclose(pipe);
	return strstr(output, expected);
}

static void add_bridge(const char *name)
{
	char command[128];

	snprintf(command, sizeof(command), "ip link add %s type bridge", name);
	assert_int_equal(system(command), 0);
}

static int open_tap(const char *name)
{
	struct ifreq req = { .ifr_flags = IFF_TAP | IFF_NO_PI };
	int fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC);

	assert_true(fd >= 0);
	snprintf(req.ifr_name, sizeof(req.ifr_name), "%s", name);
	assert_int_equal(ioctl(fd, TUNSETIFF, &req), 0);
	return fd;
}

/* A "container": a process in a network namespace of its own. */

static pid_t start_container(void)
{
	int ready[2];
	char byte;
	pid_t pid;

	assert_int_equal(pipe2(ready, O_CLOEXEC), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (unshare(CLONE_NEWNET) == 0 && write(ready[1], "", 1) == 1)
			pause();
		_exit(1);
	}
	close(ready[1]);
	assert_int_equal(read(ready[0], &byte, 1), 1);
	close(ready[0]);
	return pid;
}

static void stop_container(pid_t pid)
{
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

/* The process tests about namespaces use, and its namespace. */
static pid_t guest;
static int guest_ns = -1;

static int start_guest(void **state)
{
	(void)state;
	guest = start_container();
	guest_ns = netns_open_pid(guest, &err);
	return guest_ns < 0;
}

static void enter_guest(void)
{
	assert_int_equal(setns(guest_ns, CLONE_NEWNET), 0);
}

static void go_home(void)
{
	assert_int_equal(setns(home, CLONE_NEWNET), 0);
}

/* An interface whose peer was in a namespace that has just ended may vanish at any moment. */
static void delete_if_there(const char *name)
{
	if (netdev_delete(name, &err) != -ENODEV)
		assert_false(exists(name));
}

/* Runs after each test, whatever became of it. */
static int clean(void **state)
{
	static const char *const names[] = { "va", "vb", "vc", "br8", "br9", LONGEST, "eth0" };

	(void)state;
	go_home();
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		delete_if_there(names[i]);
	return 0;
}

static int stop_guest(void **state)
{
	stop_container(guest);
	close(guest_ns);
	return clean(state);
}

static int make_pair(void **state)
{
	(void)state;
	return netdev_create_veth("va", "vb", &err);
}

static int make_pair_and_guest(void **state)
{
	return make_pair(state) || start_guest(state);
}

/* Tests */

static void test_index(void **state)
{
	(void)state;
	assert_int_equal(netdev_index("lo", &err), if_nametoindex("lo"));
	assert_int_equal(netdev_index("va", &err), if_nametoindex("va"));
	fails(netdev_index("nosuch0", &err), ENODEV);
	fails(netdev_index("", &err), EINVAL);
	fails(netdev_index(TOO_LONG, &err), ENAMETOOLONG);
	fails(netdev_index(LONGEST, &err), ENODEV);
}

static void test_veth(void **state)
{
	(void)state;
	ok(netdev_create_veth("va", LONGEST, &err));
	assert_true(exists("va"));
	assert_true(exists(LONGEST));
	assert_false(is_up("va"));
	assert_false(is_up(LONGEST));
	assert_true(ip_says("link show va", "va@" LONGEST));
	ok(netdev_delete(LONGEST, &err));
	assert_false(exists("va"));
	assert_false(exists(LONGEST));
	ok(netdev_create_veth("a", "b", &err));
	ok(netdev_delete("a", &err));
}

static void test_veth_errors(void **state)
{
	static const struct {
		const char *name, *peer;
		int code;
	} cases[] = {
		{ "va", "vc", EEXIST },
		{ "vc", "va", EEXIST },
		{ "vc", "vc", EEXIST },
		{ "", "vc", EINVAL },
		{ "vc", "", EINVAL },
		{ "a b", "vc", EINVAL },
		{ "vc", "a/b", EINVAL },
		{ "vc", "a:b", EINVAL },
		{ "vc", "a\xa0z", EINVAL },
		{ "vc", "..", EINVAL },
		{ "vc", "v%d", EINVAL },
		{ "v%d", "vc", EINVAL },
		{ TOO_LONG, "vc", ENAMETOOLONG },
		{ "vc", TOO_LONG, ENAMETOOLONG },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		fails(netdev_create_veth(cases[i].name, cases[i].peer, &err), cases[i].code);
		assert_false(exists("vc"));
		assert_false(exists("v0"));
	}
	assert_true(exists("va"));
}

static void test_delete_errors(void **state)
{
	(void)state;
	fails(netdev_delete("lo", &err), EOPNOTSUPP);
	fails(netdev_delete("nosuch0", &err), ENODEV);
	fails(netdev_delete("", &err), EINVAL);
	fails(netdev_delete(TOO_LONG, &err), ENAMETOOLONG);
	assert_true(exists("lo"));
}

static void test_up(void **state)
{
	(void)state;
	ok(netdev_set_up("va", true, &err));
	assert_true(is_up("va"));
	assert_false(is_up("vb"));
	ok(netdev_set_up("va", true, &err));
	ok(netdev_set_up("va", false, &err));
	assert_false(is_up("va"));
	fails(netdev_set_up("nosuch0", true, &err), ENODEV);
	fails(netdev_set_up(TOO_LONG, true, &err), ENAMETOOLONG);
}

static void test_mac(void **state)
{
	static const uint8_t other[MAC_LEN] = { 0x0a, 0xbc, 0xde, 0x0f, 0, 0xff };

	(void)state;
	ok(netdev_set_mac("va", some_mac, &err));
	assert_true(has_mac("va", some_mac));
	ok(netdev_set_up("va", true, &err));
	ok(netdev_set_mac("va", other, &err));
	assert_true(has_mac("va", other));
	assert_true(is_up("va"));
	fails(netdev_set_mac("va", multicast_mac, &err), EADDRNOTAVAIL);
	fails(netdev_set_mac("va", zero_mac, &err), EADDRNOTAVAIL);
	fails(netdev_set_mac("nosuch0", some_mac, &err), ENODEV);
	fails(netdev_set_mac(TOO_LONG, some_mac, &err), ENAMETOOLONG);
	assert_true(has_mac("va", other));
}

static void test_mtu(void **state)
{
	(void)state;
	ok(netdev_set_mtu("va", 9000, &err));
	assert_int_equal(mtu_of("va"), 9000);
	fails(netdev_set_mtu("va", 1, &err), EINVAL);
	fails(netdev_set_mtu("va", 100000, &err), EINVAL);
	fails(netdev_set_mtu("nosuch0", 1500, &err), ENODEV);
	fails(netdev_set_mtu("", 1500, &err), EINVAL);
	assert_int_equal(mtu_of("va"), 9000);
}

static void test_alias(void **state)
{
	char alias[256];

	(void)state;
	memset(alias, 'x', sizeof(alias));
	alias[255] = '\0';
	ok(netdev_set_alias("va", "one two", &err));
	assert_true(ip_says("link show va", "alias one two"));
	fails(netdev_set_alias("va", alias, &err), ERANGE);
	alias[254] = '\0';
	ok(netdev_set_alias("va", alias, &err));
	assert_true(ip_says("link show va", alias));
	ok(netdev_set_alias("va", "", &err));
	assert_false(ip_says("link show va", "alias"));
	fails(netdev_set_alias("nosuch0", "x", &err), ENODEV);
}

static void test_checksum(void **state)
{
	(void)state;
	assert_true(makes_checksums("va"));
	ok(netdev_set_tx_checksum("va", false, &err));
	assert_false(makes_checksums("va"));
	assert_true(makes_checksums("vb"));
	ok(netdev_set_tx_checksum("va", false, &err));
	ok(netdev_set_tx_checksum("va", true, &err));
	assert_true(makes_checksums("va"));
	fails(netdev_set_tx_checksum("lo", false, &err), EOPNOTSUPP);
	ok(netdev_set_tx_checksum("lo", true, &err));
	fails(netdev_set_tx_checksum("nosuch0", false, &err), ENODEV);
	fails(netdev_set_tx_checksum(TOO_LONG, false, &err), ENAMETOOLONG);
}

static void test_port(void **state)
{
	(void)state;
	add_bridge("br9");
	add_bridge("br8");
	ok(netdev_add_port("br9", "va", &err));
	assert_true(ip_says("link show va", "master br9"));
	assert_false(is_up("va"));
	ok(netdev_add_port("br9", "va", &err));
	fails(netdev_add_port("br8", "va", &err), EBUSY);
	assert_true(ip_says("link show va", "master br9"));
}

static void test_port_errors(void **state)
{
	(void)state;
	add_bridge("br9");
	fails(netdev_add_port("nosuch9", "va", &err), ENODEV);
	fails(netdev_add_port("br9", "nosuch0", &err), ENODEV);
	fails(netdev_add_port("br9", "lo", &err), EINVAL);
	fails(netdev_add_port("br9", "br9", &err), ELOOP);
	fails(netdev_add_port("vb", "va", &err), EOPNOTSUPP);
	fails(netdev_add_port(TOO_LONG, "va", &err), ENAMETOOLONG);
	fails(netdev_add_port("br9", TOO_LONG, &err), ENAMETOOLONG);
}

static void test_unprivileged(void **state)
{
	pid_t pid = fork();
	int status;

	(void)state;
	assert_true(pid >= 0);
	if (pid == 0)
		_exit(setresuid(65534, 65534, 65534) ||
		      netdev_create_veth("vc", "vd", &err) != -EPERM || err.code != EPERM ||
		      netdev_set_tx_checksum("va", false, &err) != -EPERM ||
		      netdev_index("va", &err) <= 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

/* Whatever the calls open is closed again: the next free number stays the same. */
static void test_closes(void **state)
{
	int next = dup(0), again;

	(void)state;
	close(next);
	netdev_index("va", &err);
	netdev_index("nosuch0", &err);
	netdev_set_tx_checksum("va", false, &err);
	netdev_delete("lo", &err);
	again = dup(0);
	close(again);
	assert_int_equal(again, next);
}

/* Moves */

static const struct netdev_placement as_eth0 = { .name = "eth0" };

static void check_in_guest(const struct netdev_placement *placement)
{
	enter_guest();
	assert_true(exists(placement->name));
	assert_int_equal(is_up(placement->name), placement->up);
	if (placement->mac)
		assert_true(has_mac(placement->name, placement->mac));
	if (placement->mtu)
		assert_int_equal(mtu_of(placement->name), placement->mtu);
	go_home();
}

static const struct netdev_placement placements[] = {
	{ .name = "eth0" },
	{ .name = "va" },
	{ .name = LONGEST, .mac = some_mac },
	{ .name = "eth0", .mtu = 1400 },
	{ .name = "eth0", .up = true },
	{ .name = "eth1", .mac = some_mac, .mtu = 9000, .up = true },
};

#define PLACEMENT_COUNT (sizeof(placements) / sizeof(placements[0]))

static void test_move_to_pid(void **state)
{
	(void)state;
	for (size_t i = 0; i < PLACEMENT_COUNT; i++) {
		delete_if_there("vb");
		ok(netdev_create_veth("va", "vb", &err));
		ok(netdev_move_to_pid("va", guest, &placements[i], &err));
		assert_false(exists("va"));
		check_in_guest(&placements[i]);
	}
}

static void test_move_to_fd(void **state)
{
	(void)state;
	for (size_t i = 0; i < PLACEMENT_COUNT; i++) {
		delete_if_there("vb");
		ok(netdev_create_veth("va", "vb", &err));
		ok(netdev_move_to_fd("va", guest_ns, &placements[i], &err));
		assert_false(exists("va"));
		check_in_guest(&placements[i]);
	}
}

static void test_move_tap(void **state)
{
	const struct netdev_placement *placement = &placements[PLACEMENT_COUNT - 1];
	int fd = open_tap("vc");

	(void)state;
	ok(netdev_set_up("vc", true, &err));
	ok(netdev_move_to_pid("vc", guest, placement, &err));
	assert_false(exists("vc"));
	check_in_guest(placement);
	close(fd);
}

/* An interface that is up, is moved without "up": it arrives down. */
static void test_move_from_up(void **state)
{
	(void)state;
	ok(netdev_set_up("va", true, &err));
	ok(netdev_move_to_pid("va", guest, &as_eth0, &err));
	check_in_guest(&as_eth0);
}

static void test_move_within(void **state)
{
	const struct netdev_placement as_va = { .name = "va", .up = true };
	const struct netdev_placement as_vb = { .name = "vb" };

	(void)state;
	ok(netdev_move_to_pid("va", getpid(), &as_va, &err));
	assert_true(is_up("va"));
	fails(netdev_move_to_pid("va", getpid(), &as_vb, &err), EEXIST);
	ok(netdev_move_to_pid("va", getpid(), &as_eth0, &err));
	assert_true(exists("eth0"));
	assert_false(exists("va"));
	ok(netdev_move_to_fd("eth0", home, &as_va, &err));
	assert_true(exists("va"));
}

static void fails_to_move(pid_t pid, const struct netdev_placement *placement, int code)
{
	fails(netdev_move_to_pid("va", pid, placement, &err), code);
	assert_true(exists("va"));
}

static void test_move_no_process(void **state)
{
	const struct netdev_placement same_name = { .name = "va" };
	pid_t dead = start_container();

	(void)state;
	stop_container(dead);
	fails_to_move(dead, &as_eth0, ESRCH);
	fails_to_move(dead, &same_name, ESRCH);
	fails_to_move(0, &as_eth0, ESRCH);
	fails_to_move(-1, &as_eth0, ESRCH);
	fails_to_move(NO_PROCESS, &as_eth0, ESRCH);
	fails(netdev_move_to_pid("nosuch0", guest, &as_eth0, &err), ENODEV);
	fails(netdev_move_to_pid(TOO_LONG, guest, &as_eth0, &err), ENAMETOOLONG);
}

/* A process that has ended but was not waited for has no namespace any more. */
static void test_move_zombie(void **state)
{
	siginfo_t info;
	pid_t pid = fork();

	(void)state;
	if (pid == 0)
		_exit(0);
	assert_int_equal(waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT), 0);
	fails_to_move(pid, &as_eth0, ESRCH);
	waitpid(pid, NULL, 0);
}

static void test_move_bad_placement(void **state)
{
	static char endless[30001];
	const struct {
		struct netdev_placement placement;
		int code;
	} cases[] = {
		{ { .name = "" }, EINVAL },
		{ { .name = "a b" }, EINVAL },
		{ { .name = "a/b" }, EINVAL },
		{ { .name = "." }, EINVAL },
		{ { .name = "eth%d" }, EINVAL },
		{ { .name = TOO_LONG }, ENAMETOOLONG },
		{ { .name = endless }, ENAMETOOLONG },
		{ { .name = "eth0", .mac = multicast_mac }, EADDRNOTAVAIL },
		{ { .name = "eth0", .mac = zero_mac }, EADDRNOTAVAIL },
		{ { .name = "eth0", .mtu = 1 }, EINVAL },
		{ { .name = "eth0", .mtu = 100000 }, EINVAL },
		{ { .name = "lo" }, EEXIST },
	};

	(void)state;
	memset(endless, 'n', sizeof(endless) - 1);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		fails_to_move(guest, &cases[i].placement, cases[i].code);
}

static void test_move_taken(void **state)
{
	const struct netdev_placement as_va = { .name = "va" }, as_vb = { .name = "vb" };

	(void)state;
	enter_guest();
	ok(netdev_create_veth("eth0", "eth1", &err));
	go_home();
	fails_to_move(guest, &as_eth0, EEXIST);
	fails(netdev_move_to_fd("va", guest_ns, &as_eth0, &err), EEXIST);
	assert_true(exists("va"));
	enter_guest();
	ok(netdev_create_veth("va", "eth2", &err));
	go_home();
	fails_to_move(guest, &as_va, EEXIST);
	/* It is no obstacle that its old name is taken there, or the new one is taken here. */
	ok(netdev_move_to_pid("va", guest, &as_vb, &err));
	check_in_guest(&as_vb);
}

static void test_move_bad_fd(void **state)
{
	int file = open("/dev/null", O_RDONLY | O_CLOEXEC);

	(void)state;
	fails(netdev_move_to_fd("va", -1, &as_eth0, &err), EBADF);
	fails(netdev_move_to_fd("va", file, &as_eth0, &err), EINVAL);
	fails(netdev_move_to_fd("lo", guest_ns, &as_eth0, &err), EINVAL);
	assert_true(exists("va"));
	close(file);
}

/* Another user, who may administer networks and nothing else. */
static bool become_network_administrator(void)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct caps[2] = { {
		.effective = 1u << CAP_NET_ADMIN,
		.permitted = 1u << CAP_NET_ADMIN,
	} };

	return prctl(PR_SET_KEEPCAPS, 1) == 0 && setresuid(65534, 65534, 65534) == 0 &&
	       syscall(SYS_capset, &header, caps) == 0;
}

static void test_move_as_other_user(void **state)
{
	const struct netdev_placement *placement = &placements[PLACEMENT_COUNT - 1];
	pid_t pid = fork();
	int status;

	(void)state;
	assert_true(pid >= 0);
	if (pid == 0)
		_exit(!become_network_administrator() ||
		      netns_open_pid(guest, &err) != -EACCES ||
		      netdev_set_tx_checksum("va", false, &err) ||
		      netdev_move_to_pid("va", guest, placement, &err));
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	check_in_guest(placement);
}

static void *make_and_move(void *arg)
{
	const char *letter = arg;
	char name[8], peer[8];
	struct err error;
	int ret = 0;

	snprintf(name, sizeof(name), "t%s", letter);
	snprintf(peer, sizeof(peer), "p%s", letter);
	for (int i = 0; i < 5 && ret == 0; i++) {
		struct netdev_placement placement = { .name = name, .up = true };

		ret = netdev_create_veth(name, peer, &error) ||
		      netdev_set_tx_checksum(peer, false, &error) ||
		      netdev_move_to_pid(name, guest, &placement, &error) ||
		      netdev_delete(peer, &error);
	}
	return ret ? arg : NULL;
}

static void test_threads(void **state)
{
	static char letters[4][2] = { "0", "1", "2", "3" };
	pthread_t threads[4];
	void *failed;

	(void)state;
	for (int i = 0; i < 4; i++)
		assert_int_equal(
			pthread_create(&threads[i], NULL, make_and_move, letters[i]), 0);
	for (int i = 0; i < 4; i++) {
		pthread_join(threads[i], &failed);
		assert_null(failed);
	}
}

static void test_netns(void **state)
{
	int self = netns_open_self(&err);
	int self_by_pid = netns_open_pid(getpid(), &err);

	(void)state;
	assert_true(self >= 0);
	assert_true(self_by_pid >= 0);
	assert_true(fcntl(self, F_GETFD) & FD_CLOEXEC);
	assert_true(fcntl(self_by_pid, F_GETFD) & FD_CLOEXEC);
	assert_true(netns_same(self, self_by_pid));
	assert_true(netns_same(self, home));
	assert_false(netns_same(self, guest_ns));
	assert_false(netns_same(self, -1));
	assert_false(netns_same(-1, -1));
	close(self);
	close(self_by_pid);
	fails(netns_open_pid(0, &err), ESRCH);
	fails(netns_open_pid(-1, &err), ESRCH);
	fails(netns_open_pid(NO_PROCESS, &err), ESRCH);
}

static int open_home(void **state)
{
	(void)state;
	home = netns_open_self(&err);
	return home < 0;
}

static int close_home(void **state)
{
	(void)state;
	return close(home);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_index, make_pair, clean),
		cmocka_unit_test_setup_teardown(test_veth, NULL, clean),
		cmocka_unit_test_setup_teardown(test_veth_errors, make_pair, clean),
		cmocka_unit_test_setup_teardown(test_delete_errors, NULL, clean),
		cmocka_unit_test_setup_teardown(test_up, make_pair, clean),
		cmocka_unit_test_setup_teardown(test_mac, make_pair, clean),
		cmocka_unit_test_setup_teardown(test_mtu, make_pair, clean),
		cmocka_unit_test_setup_teardown(test_alias, make_pair, clean),
		cmocka_unit_test_setup_teardown(test_checksum, make_pair, clean),
		cmocka_unit_test_setup_teardown(test_port, make_pair, clean),
		cmocka_unit_test_setup_teardown(test_port_errors, make_pair, clean),
		cmocka_unit_test_setup_teardown(test_unprivileged, make_pair, clean),
		cmocka_unit_test_setup_teardown(test_closes, make_pair, clean),
		cmocka_unit_test_setup_teardown(test_move_to_pid, start_guest, stop_guest),
		cmocka_unit_test_setup_teardown(test_move_to_fd, start_guest, stop_guest),
		cmocka_unit_test_setup_teardown(test_move_tap, start_guest, stop_guest),
		cmocka_unit_test_setup_teardown(test_move_from_up, make_pair_and_guest,
						stop_guest),
		cmocka_unit_test_setup_teardown(test_move_within, make_pair, clean),
		cmocka_unit_test_setup_teardown(test_move_no_process, make_pair_and_guest,
						stop_guest),
		cmocka_unit_test_setup_teardown(test_move_zombie, make_pair, clean),
		cmocka_unit_test_setup_teardown(test_move_bad_placement, make_pair_and_guest,
						stop_guest),
		cmocka_unit_test_setup_teardown(test_move_taken, make_pair_and_guest,
						stop_guest),
		cmocka_unit_test_setup_teardown(test_move_bad_fd, make_pair_and_guest,
						stop_guest),
		cmocka_unit_test_setup_teardown(test_move_as_other_user, make_pair_and_guest,
						stop_guest),
		cmocka_unit_test_setup_teardown(test_threads, start_guest, stop_guest),
		cmocka_unit_test_setup_teardown(test_netns, start_guest, stop_guest),
	};

	if (unshare(CLONE_NEWNET)) {
		printf("skipped: no network namespace: %s\n", strerror(errno));
		return 77;
	}
	return cmocka_run_group_tests(tests, open_home, close_home);
}
