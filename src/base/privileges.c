/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Theory of operation
 *
 * The program reads what strangers send, so what it may do is cut down before the
 * first byte comes in, while there is one thread, in this order:
 *
 * 1. A set-user-id program becomes the user who started it, for good: files are
 *    opened with that user's rights. Its capabilities survive.
 * 2. Capabilities that no feature needs go, from the bounding set too. Root keeps
 *    some more than a user does, since captures go to directories of other users,
 *    and containers are other users' processes; see docs/security.md.
 * 3. No program that it might start could gain any (no_new_privs).
 * 4. Where as little as possible is asked for, system calls with which an intruder
 *    would begin, and this program never does, fail with EPERM: to run a program,
 *    to look into others, to mount, to load code into the kernel. Not by default:
 *    though the kernel answers the others from a bitmap, each call takes some 45 ns
 *    longer, which is 1 to 3 % of the way of a small frame.
 *
 * Where a step is not possible (a service manager forbids the call, having done
 * the same itself) the program says so and goes on.
 */
#include <config.h>

#include "base/privileges.h"

#include <errno.h>
#include <linux/audit.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#define BIT(capability) (1ULL << (capability))

/* TAP devices and all that changes interfaces; packet sockets. */
#define NEEDED (BIT(CAP_NET_ADMIN) | BIT(CAP_NET_RAW))

/* In this order: low ports, files of other users, namespaces of containers' processes,
 * and entering them.
 */
#define HELPFUL \
	(BIT(CAP_NET_BIND_SERVICE) | BIT(CAP_DAC_OVERRIDE) | BIT(CAP_SYS_PTRACE) | \
	 BIT(CAP_SYS_ADMIN))

static int become_real_user(struct err *err)
{
	uid_t user = getuid();
	gid_t group = getgid();

	if (user == geteuid() && group == getegid())
		return 0;
	if (prctl(PR_SET_KEEPCAPS, 1) < 0 || setresgid(group, group, group) < 0 ||
	    setresuid(user, user, user) < 0)
		return err_sys(err, errno, "cannot become user %u", user);
	return 0;
}

/* ---- capabilities */

struct capabilities {
	struct __user_cap_header_struct header;
	struct __user_cap_data_struct word[_LINUX_CAPABILITY_U32S_3];
};

static int capabilities_get(struct capabilities *caps)
{
	caps->header = (struct __user_cap_header_struct){
		.version = _LINUX_CAPABILITY_VERSION_3,
	};
	return syscall(SYS_capget, &caps->header, caps->word) < 0 ? -errno : 0;
}

static uint64_t permitted(const struct capabilities *caps)
{
	return caps->word[0].permitted | (uint64_t)caps->word[1].permitted << 32;
}

static void set(struct capabilities *caps, uint64_t effective)
{
	for (unsigned i = 0; i < _LINUX_CAPABILITY_U32S_3; i++) {
		caps->word[i].effective = (uint32_t)(effective >> (32 * i));
		caps->word[i].permitted = caps->word[i].effective;
		caps->word[i].inheritable = 0;
	}
}

static int keep_capabilities(uint64_t keep, struct err *err)
{
	struct capabilities caps;
	int error = capabilities_get(&caps);

	if (error)
		return err_sys(err, -error, "capabilities");
	/* without CAP_SETPCAP this is refused, and no_new_privs has to do */
	for (int i = 0; i <= CAP_LAST_CAP; i++) {
		if (!(keep & BIT(i)) && prctl(PR_CAPBSET_READ, i) == 1)
			prctl(PR_CAPBSET_DROP, i);
	}
	keep &= permitted(&caps);
	if (keep == permitted(&caps) && caps.word[0].effective == (uint32_t)keep)
		return 0;
	set(&caps, keep);
	if (syscall(SYS_capset, &caps.header, caps.word) < 0)
		return err_sys(err, errno, "cannot give up capabilities");
	return 0;
}

/* ---- system calls */

#if defined(__x86_64__)
#define NATIVE_ARCH AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define NATIVE_ARCH AUDIT_ARCH_AARCH64
#elif defined(__riscv) && __riscv_xlen == 64
#define NATIVE_ARCH AUDIT_ARCH_RISCV64
#endif

/* Sanitizers run programs and trace the process when they report something. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#undef NATIVE_ARCH
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#undef NATIVE_ARCH
#endif
#endif

#ifdef NATIVE_ARCH

/* All of them are on every architecture that is listed above. */
static const int forbidden[] = {
	SYS_execve, SYS_execveat, SYS_ptrace, SYS_process_vm_readv, SYS_process_vm_writev,
	SYS_kcmp, SYS_mount, SYS_umount2, SYS_pivot_root, SYS_chroot, SYS_unshare,
	SYS_init_module, SYS_finit_module, SYS_delete_module, SYS_kexec_load, SYS_bpf,
	SYS_perf_event_open, SYS_userfaultfd, SYS_add_key, SYS_request_key, SYS_keyctl,
	SYS_open_by_handle_at, SYS_swapon, SYS_swapoff, SYS_reboot, SYS_acct,
	SYS_clock_settime, SYS_settimeofday, SYS_sethostname, SYS_setdomainname,
};

#define FORBIDDEN (sizeof(forbidden) / sizeof(forbidden[0]))

/* The second way to call the kernel of x86-64 has numbers of its own, from here. */
#define X32_NUMBERS 0x40000000

static struct sock_filter load(size_t field)
{
	return (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, (uint32_t)field);
}

/* Goes on @yes or @no instructions behind the next one. */
static struct sock_filter compare(uint16_t how, uint32_t value, size_t yes, size_t no)
{
	return (struct sock_filter){
		.code = BPF_JMP | BPF_K | how,
		.jt = (uint8_t)yes,
		.jf = (uint8_t)no,
		.k = value,
	};
}

static struct sock_filter answer(uint32_t what)
{
	return (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, what);
}

static int forbid_calls(struct err *err)
{
	struct sock_filter code[FORBIDDEN + 6];
	const struct sock_fprog program = { FORBIDDEN + 6, code };
	/* the last instruction; a jump counts from the one behind itself */
	const size_t refuse = FORBIDDEN + 5;
	size_t at = 0;

	code[at++] = load(offsetof(struct seccomp_data, arch));
	code[at] = compare(BPF_JEQ, NATIVE_ARCH, 0, refuse - at - 1);
	at++;
	code[at++] = load(offsetof(struct seccomp_data, nr));
	code[at] = compare(BPF_JGE, X32_NUMBERS, refuse - at - 1, 0);
	at++;
	for (size_t i = 0; i < FORBIDDEN; i++, at++)
		code[at] = compare(BPF_JEQ, (uint32_t)forbidden[i], refuse - at - 1, 0);
	code[at++] = answer(SECCOMP_RET_ALLOW);
	code[at] = answer(SECCOMP_RET_ERRNO | EPERM);
	/* old kernels else make each branch of the process slower */
	if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_SPEC_ALLOW,
		    &program) < 0)
		return err_sys(err, errno, "cannot forbid system calls");
	return 0;
}

#else

static int forbid_calls(struct err *err)
{
	(void)err;
	return 0;
}

#endif

/* privileges_drop() - keep what the program needs, for good
 * @least: NEEDED only, also as root, and no system calls but what the program needs
 *
 * Before any other thread starts. Return: 0, or a negative errno with @err set by the
 * first step that was not possible; the others are done.
 */
int privileges_drop(bool least, struct err *err)
{
	bool is_set_user_id = getuid() != geteuid() && geteuid() == 0;
	/* what a user got from a file or a service manager was given on purpose */
	uint64_t keep = least || is_set_user_id ? NEEDED : NEEDED | HELPFUL;
	struct err later, *next = err;

	err->code = 0;
	if (become_real_user(next) < 0)
		next = &later;
	if (keep_capabilities(keep, next) < 0)
		next = &later;
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0) {
		err_sys(next, errno, "no_new_privs");
		next = &later;
	}
	if (least)
		forbid_calls(next);
	return -err->code;
}
