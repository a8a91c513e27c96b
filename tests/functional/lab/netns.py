# SPDX-License-Identifier: GPL-3.0-or-later
"""Network namespaces that live as long as a file descriptor."""
import ctypes
import fcntl
import os
import socket
import struct
import subprocess

from .wait import wait_until

CLONE_NEWNET = 0x40000000
SIOCGIFFLAGS, SIOCSIFFLAGS = 0x8913, 0x8914
IFF_RUNNING = 0x40
TUNSETIFF = 0x400454ca
IFF_TAP, IFF_NO_PI, IFF_VNET_HDR = 0x0002, 0x1000, 0x4000
_libc = ctypes.CDLL(None, use_errno=True)


def _check(result):
    if result != 0:
        errno = ctypes.get_errno()
        raise OSError(errno, os.strerror(errno))


def _is_running(request):
    return bool(struct.unpack_from("H", request, 16)[0] & IFF_RUNNING)


class Namespace:
    """A fresh network namespace with lo up.

    Inside `with ns:` this thread is in it: sockets opened and processes started there
    belong to it and stay there.
    """

    def __init__(self):
        self._entered_from = []
        with open("/proc/thread-self/ns/net", "rb") as home:
            _check(_libc.unshare(CLONE_NEWNET))
            self.fd = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
            _check(_libc.setns(home.fileno(), CLONE_NEWNET))
        self.ip("link set lo up")

    @classmethod
    def of(cls, pid):
        """That of a process. It outlives the process until it is closed."""
        namespace = cls.__new__(cls)
        namespace._entered_from = []
        namespace.fd = os.open(f"/proc/{pid}/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        return namespace

    def close(self):
        os.close(self.fd)

    @property
    def path(self):
        return f"/proc/{os.getpid()}/fd/{self.fd}"

    def __enter__(self):
        self._entered_from.append(os.open("/proc/thread-self/ns/net", os.O_RDONLY))
        _check(_libc.setns(self.fd, CLONE_NEWNET))
        return self

    def __exit__(self, *_):
        home = self._entered_from.pop()
        _check(_libc.setns(home, CLONE_NEWNET))
        os.close(home)

    def run(self, *argv, **kwargs):
        """Run a program in the namespace; it must succeed. Returns its output."""
        with self:
            done = subprocess.run(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                  stderr=subprocess.STDOUT, text=True, timeout=60, **kwargs)
        assert done.returncode == 0, f"{' '.join(argv)}: {done.stdout}"
        return done.stdout

    def ip(self, words):
        return self.run("ip", *words.split())

    def links(self):
        """Names of all interfaces."""
        with self, open("/proc/thread-self/net/dev", encoding="ascii") as table:
            return {line.split(":")[0].strip() for line in table if ":" in line}

    def veth(self, left, right, other=None, up=True):
        """A veth pair; the right end goes into namespace `other` when one is given.

        IPv6 is off on both, so that only the test's own frames are on the wire. When it is up
        it carries frames: the kernel drops all until it has noted, in a work item of its own,
        that the pair has a carrier, which takes a while on a busy machine.
        """
        self.ip(f"link add {left} type veth peer name {right}")
        if other is not None:
            with self:
                subprocess.run(["ip", "link", "set", right, "netns", other.path], check=True,
                               pass_fds=[other.fd])
        for ns, name in ((self, left), (other or self, right)):
            ns.quiet(name)
            if up:
                ns.ip(f"link set {name} up")
        if up:
            for ns, name in ((self, left), (other or self, right)):
                ns.wait_carrier(name)

    def tap_file(self, name):
        """The file of a new TAP device, for frames behind a virtio header of 10 bytes."""
        with self:
            fd = os.open("/dev/net/tun", os.O_RDWR | os.O_CLOEXEC)
        fcntl.ioctl(fd, TUNSETIFF, struct.pack("16sH22x", name.encode(),
                                               IFF_TAP | IFF_NO_PI | IFF_VNET_HDR))
        self.quiet(name)
        self.ip(f"link set {name} up")
        return fd

    def wait_carrier(self, name):
        """Until the kernel has noted that an interface has a carrier."""
        with self, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            request = struct.pack("16sH22x", name.encode(), 0)

            def noted():
                answer = fcntl.ioctl(sock, SIOCGIFFLAGS, request)
                return answer if _is_running(answer) else None
            flags = wait_until(noted, what=f"the carrier of {name}")
            # changes nothing, and takes the lock under which the kernel acts on the carrier
            fcntl.ioctl(sock, SIOCSIFFLAGS, flags)

    def quiet(self, name):
        """No IPv6 chatter on this interface."""
        with self:
            path = f"/proc/sys/net/ipv6/conf/{name}/disable_ipv6"
            if os.path.exists(path):
                with open(path, "w", encoding="ascii") as knob:
                    knob.write("1")

    def udp_drops(self, port):
        """Datagrams the kernel dropped because the receiver on a local port was full."""
        with self:
            total = 0
            for table in ("udp", "udp6"):
                path = f"/proc/thread-self/net/{table}"
                if not os.path.exists(path):
                    continue
                with open(path, encoding="ascii") as lines:
                    for fields in map(str.split, list(lines)[1:]):
                        if int(fields[1].rsplit(":", 1)[1], 16) == port:
                            total += int(fields[-1])
            return total
