# SPDX-License-Identifier: GPL-3.0-or-later
"""Who may speak to the program, and how much of it."""
import os
import shutil
import socket
import stat
import sys
import time

import pytest

from lab.program import Client, free_port, spawn
from lab.wait import wait_until


class UnixClient(Client):
    """A control connection over a UNIX socket."""

    def __init__(self, path, deadline=10.0):    # pylint: disable=super-init-not-called
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(deadline)
        self.sock.connect(path)
        self.deadline = deadline
        self._buffer = b""


# Says what a stranger gets: its first line, or "" where the connection just ends.
STRANGER = """
import socket, sys
kind, *where = sys.argv[1:]
s = socket.socket(socket.AF_UNIX if kind == "unix" else socket.AF_INET)
try:
    s.connect(where[0] if kind == "unix" else (where[0], int(where[1])))
    s.sendall(b"hypervisor version\\n")
    print(s.recv(100).decode().strip())
except (ConnectionResetError, BrokenPipeError):
    print()
except PermissionError:
    print("no permission")
"""


def as_user(user, ns, *where):
    return ns.run("setpriv", f"--reuid={user}", "--regid=nogroup", "--clear-groups",
                  sys.executable, "-c", STRANGER, *map(str, where)).strip()


@pytest.fixture
def start(binary, ns, directory):
    """A maker of programs with any arguments: start("-U", path)."""
    running = []

    def make(*args, user=None, program=binary):
        running.append(spawn([program, *args], ns, directory, user=user))
        return running[-1]
    yield make
    for process in running:
        if process.poll() is None:
            process.terminate()
        try:
            assert process.wait(10) == 0
        finally:
            process.kill()


@pytest.fixture
def copy(binary, directory):
    """The program where every user can reach it, and without file capabilities."""
    path = f"{directory}/ubridge"
    shutil.copyfile(binary, path)
    os.chmod(path, 0o755)
    return path


def connected(path):
    def connect():
        try:
            return UnixClient(path)
        except (FileNotFoundError, ConnectionRefusedError):
            return None
    return wait_until(connect, 10, "the control socket")


# ---- UNIX socket

@pytest.mark.parametrize("option", ["-U", "--unix"])
def test_unix_socket(start, directory, option):
    path = f"{directory}/control"
    process = start(option, path)
    client = connected(path)
    client.ok("hypervisor version", "1.0.0")
    status = os.lstat(path)
    assert stat.S_ISSOCK(status.st_mode) and stat.S_IMODE(status.st_mode) == 0o600
    with open(f"{directory}/stdout", encoding="ascii") as out:
        assert f"Hypervisor control socket started ({path}).\n" in out.read()
    client.ok("hypervisor stop", "OK")
    assert process.wait(10) == 0
    assert not os.path.exists(path)


def test_mode_from_the_start(start, directory):
    """Not even for a moment it is open to others, whatever the umask."""
    path = f"{directory}/control"
    modes = set()
    before = os.umask(0)
    try:
        start("-U", path)
    finally:
        os.umask(before)
    end = time.monotonic() + 10
    while time.monotonic() < end:
        try:
            modes.add(stat.S_IMODE(os.lstat(path).st_mode))
            connected(path).ok("hypervisor version")
            break
        except (FileNotFoundError, ConnectionRefusedError):
            pass
    assert modes == {0o600}


def test_unix_socket_and_tcp_at_once(start, ns, directory):
    port = free_port(ns)
    start("-U", f"{directory}/control", "-H", f"127.0.0.1:{port}", "-f", "/nonexistent")
    client = connected(f"{directory}/control")
    client.ok("bridge create b")
    other = wait_until(lambda: _tcp(ns, port), 10, "the port")
    assert other.ok("bridge list") == ["b (NIOs = 0)"]


def test_what_was_sent_before_a_client_left_is_done(start, directory):
    """All of it, in order, also where nothing of it had been looked at by then."""
    start("-U", f"{directory}/control", "-f", "/nonexistent")
    for number in range(20):
        client = connected(f"{directory}/control")
        client.send("".join(f"bridge create b{number}-{i}\n" for i in range(50)) +
                    f"bridge delete b{number}-0\nbridge delete b{number}-1")
        client.close()
    client = connected(f"{directory}/control")
    wait_until(lambda: len(client.ok("bridge list")) == 20 * 48, what="the commands to be done")
    assert "b7-2 (NIOs = 0)" in client.ok("bridge list")


def _tcp(ns, port, address="127.0.0.1"):
    try:
        return Client(ns, port, address)
    except ConnectionRefusedError:
        return None


def test_a_stale_socket_is_replaced(start, directory):
    path = f"{directory}/control"
    with socket.socket(socket.AF_UNIX) as old:
        old.bind(path)
    start("-U", path)
    connected(path).ok("hypervisor version")


@pytest.mark.parametrize("what", ["file", "directory", "served", "datagram", "link", "too long",
                                  "missing directory", "empty"])
def test_paths_that_can_not_be(run, directory, what):
    path = f"{directory}/control"
    held = None
    if what == "file":
        with open(path, "w", encoding="ascii") as file:
            file.write("mine")
    elif what == "directory":
        os.mkdir(path)
    elif what in ("served", "datagram"):
        held = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM if what == "served" else
                             socket.SOCK_DGRAM)
        held.bind(path)
        if what == "served":
            held.listen()
    elif what == "link":
        os.symlink(f"{directory}/elsewhere", path)
    elif what == "too long":
        path = f"{directory}/" + "x" * (108 - len(directory) - 1)
        assert len(path) == 108
    elif what == "missing directory":
        path = f"{directory}/no/control"
    else:
        path = ""
    before = os.lstat(path) if os.path.lexists(path) else None
    status, _, err = run("-U", path)
    assert status == 1
    assert "Hypervisor: unable to create the control socket." in err
    assert before is None or os.path.samestat(before, os.lstat(path))
    assert not os.path.exists(f"{directory}/elsewhere")
    if held:
        held.close()


def test_the_longest_path(start, directory):
    path = f"{directory}/" + "x" * (107 - len(directory) - 1)
    start("-U", path)
    connected(path).ok("hypervisor version")


def test_a_file_of_others_is_not_removed(start, directory):
    path = f"{directory}/control"
    process = start("-U", path)
    connected(path)
    os.rename(path, f"{path}.away")
    with open(path, "w", encoding="ascii") as file:
        file.write("mine")
    process.terminate()
    assert process.wait(10) == 0
    assert os.path.exists(path)


def test_strangers_are_refused_by_their_user(start, ns, directory):
    """Even where the mode was widened: who they are is asked from the kernel."""
    path = f"{directory}/control"
    start("-U", path)
    client = connected(path)
    assert as_user("nobody", ns, "unix", path) == "no permission"
    os.chmod(path, 0o777)
    assert as_user("nobody", ns, "unix", path) == ""
    assert as_user("root", ns, "unix", path) == "100-1.0.0"
    client.ok("hypervisor version")
    with open(f"{directory}/stderr", encoding="ascii") as err:
        assert "Hypervisor: client refused: it is of user 65534." in err.read()


def test_its_user_and_root_are_admitted(start, ns, directory, copy):
    path = f"{directory}/control"
    start("-U", path, user="nobody", program=copy)
    connected(path).ok("hypervisor version")
    assert as_user("nobody", ns, "unix", path) == "100-1.0.0"
    os.chmod(path, 0o777)
    assert as_user("daemon", ns, "unix", path) == ""


# ---- TCP

@pytest.mark.parametrize("listen, address", [("127.0.0.1", "127.0.0.1"), ("0.0.0.0", "127.0.0.1"),
                                             ("::", "127.0.0.1"), ("::1", "::1")])
def test_same_user(start, ns, directory, listen, address):
    port = free_port(ns)
    start("-H", f"{listen}:{port}", "--same-user")
    client = wait_until(lambda: _tcp(ns, port, address), 10, "the port")
    client.ok("hypervisor version")
    if ":" not in address:
        assert as_user("root", ns, "tcp", address, port) == "100-1.0.0"
        assert as_user("nobody", ns, "tcp", address, port) == ""
        with open(f"{directory}/stderr", encoding="ascii") as err:
            assert "Hypervisor: client refused: it is of user 65534." in err.read()
    client.ok("hypervisor version")


def test_same_user_means_this_host(start, ns, namespaces):
    """What comes over a network has no user here, root or not."""
    other = namespaces()
    ns.veth("va", "vb", other)
    ns.ip("addr add 10.1.0.1/24 dev va")
    other.ip("addr add 10.1.0.2/24 dev vb")
    port = free_port(ns)
    start("-H", f"10.1.0.1:{port}", "--same-user")
    wait_until(lambda: _tcp(ns, port, "10.1.0.1"), 10, "the port").ok("hypervisor version")
    assert as_user("root", other, "tcp", "10.1.0.1", port) == ""


GONE = """
import os, socket, sys
for i in range(200):
    s = socket.create_connection((sys.argv[1], int(sys.argv[2])))
    s.sendall(b"bridge create stranger%d\\n" % i)
    s.close()
"""


def test_a_stranger_that_has_closed_already_is_not_root(start, ns, directory):
    """The kernel says that a socket without a process is root's."""
    port = free_port(ns)
    process = start("-H", f"127.0.0.1:{port}", "--same-user")
    client = wait_until(lambda: _tcp(ns, port), 10, "the port")
    os.kill(process.pid, 19)
    try:
        ns.run("setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups", sys.executable,
               "-c", GONE, "127.0.0.1", str(port))
    finally:
        os.kill(process.pid, 18)
    assert client.ok("bridge list") == []
    again = wait_until(lambda: _tcp(ns, port), 10, "the port")
    again.ok("hypervisor version")
    assert again.ok("bridge list") == []
    with open(f"{directory}/stderr", encoding="ascii") as err:
        assert 0 < len(err.read().splitlines()) <= 5, "not a line for each"


def test_without_the_rule_everybody_may(ub):
    assert as_user("nobody", ub.ns, "tcp", "127.0.0.1", ub.port) == "100-1.0.0"


# ---- limits

def test_max_clients(launch):
    ub = launch(args=["--max-clients", "3"])
    clients = [ub.client(), ub.client()]
    extra = ub.client()
    assert extra.line() == b"215-too many clients"
    extra.expect_eof()
    for client in (ub.main, *clients):
        client.ok("hypervisor version")
    clients[0].close()

    def admitted():
        client = ub.client()
        try:
            return client.cmd("hypervisor version").code == 100
        except (AssertionError, OSError):
            return False
    wait_until(admitted, 5, "the place to be free")


def test_max_bridges(launch):
    ub = launch(args=["--max-bridges", "2"])
    ub.ok("bridge create a")
    ub.ok("iol_bridge create i 299")
    ub.fails(206, "bridge create b", "there are 2 bridges already")
    ub.fails(206, "iol_bridge create j 298", "there are 2 bridges already")
    ub.fails(206, "bridge create a", "bridge 'a' already exist")
    ub.ok("bridge delete a")
    ub.ok("bridge create b")


@pytest.mark.parametrize("option, value", [("--max-clients", "0"), ("--max-clients", "x"),
                                           ("--max-bridges", "-1"), ("--max-bridges", "")])
def test_limits_that_can_not_be(run, option, value):
    status, _, err = run(option, value)
    assert status == 1
    assert option in err


def test_lines(ub):
    """64 KiB is a line, one byte more is not, and neither disturbs the next."""
    name = "x" * 65000
    ub.ok(f"bridge create {name}")
    ub.fails(200, "bridge create " + "y" * 65536, "Parse error: line too long")
    ub.ok("hypervisor version")
