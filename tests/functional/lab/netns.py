# SPDX-License-Identifier: GPL-3.0-or-later
"""Network namespaces that live as long as a file descriptor."""
import ctypes
import os
import subprocess

CLONE_NEWNET = 0x40000000
_libc = ctypes.CDLL(None, use_errno=True)


def _check(result):
    if result != 0:
        errno = ctypes.get_errno()
        raise OSError(errno, os.strerror(errno))


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

        IPv6 is off on both, so that only the test's own frames are on the wire.
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
