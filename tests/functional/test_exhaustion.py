# SPDX-License-Identifier: GPL-3.0-or-later
"""When there is no more of something, the command that asked hears it, and nothing else does."""
import os
import resource
import shutil
import subprocess
import time

import pytest

from lab import frames
from lab.counters import Witness, recovers
from lab.wait import wait_until

MANY = int(os.environ.get("MANY_BRIDGES", "10000"))
PIPELINE = 200


@pytest.fixture
def witnessed(peers):
    """Puts a bridge that may not lose a frame into a program."""
    threads = []

    def add(ub):
        left, right = peers.udp(), peers.udp()
        left.to, right.to = peers.port(), peers.port()
        ub.udp_bridge("witness", (left.to, left.port), (right.to, right.port))
        threads.append((ub, Witness(left, right)))
    yield add
    for ub, thread in threads:
        thread.check()
        assert ub.alive()


def limit(ub, what, soft):
    """Set a soft limit of the running program; None: as far as it may go."""
    _, hard = resource.prlimit(ub.pid, what)
    resource.prlimit(ub.pid, what, (hard if soft is None else soft, hard))


def pipelined(client, lines):
    """Send many lines without waiting for each; returns their replies."""
    replies = []
    for first in range(0, len(lines), PIPELINE):
        part = lines[first:first + PIPELINE]
        client.send("\n".join(part).encode() + b"\n")
        replies += [client.reply(60) for _ in part]
    return replies


# ---- descriptors

def test_no_descriptors_left(ub, peers, witnessed, directory):
    witnessed(ub)
    ub.ok("bridge create b")
    limit(ub, resource.RLIMIT_NOFILE, ub.descriptors())
    port = peers.port()
    ub.fails(206, f"bridge add_nio_udp b {port} 127.0.0.1 9",
             "unable to create NIO UDP for bridge 'b'")
    ub.fails(206, "bridge add_nio_tap b tapx", "unable to create NIO TAP for bridge 'b'")
    ub.fails(206, f"bridge add_nio_unix b {directory}/x {directory}/y",
             "unable to create NIO UNIX for bridge 'b'")
    ub.fails(206, "bridge add_nio_linux_raw b lo", "unable to create NIO Linux raw for bridge 'b'")
    ub.fails(206, "bridge add_nio_ethernet b lo", "unable to create NIO Ethernet for bridge 'b'")
    ub.fails(209, f"bridge start_capture witness {directory}/c.pcap",
             "packet capture could not be started on bridge 'witness'")
    ub.fails(206, "iol_bridge create i 297")
    ub.fails(206, "docker create_veth va vb")
    assert ub.stderr().count("Too many open files") >= 5
    assert ub.ok("bridge show b") == ["bridge 'b' is not running"]
    limit(ub, resource.RLIMIT_NOFILE, None)
    ub.ok(f"bridge add_nio_udp b {port} 127.0.0.1 9")
    ub.ok("iol_bridge create i 297")


def test_clients_wait_for_descriptors(ub, peers, witnessed):
    """They are neither refused nor forgotten."""
    witnessed(ub)
    ub.ok("bridge create b")
    ub.ok(f"bridge add_nio_udp b {peers.port()} 127.0.0.1 9")
    limit(ub, resource.RLIMIT_NOFILE, ub.descriptors())
    waiting = [ub.client() for _ in range(3)]
    for client in waiting:
        client.send("hypervisor version")
    with pytest.raises(AssertionError):
        waiting[0].reply(0.3)
    ub.ok("hypervisor version")
    ub.ok("bridge delete b")
    begin = time.monotonic()
    assert waiting[0].reply().code == 100
    assert time.monotonic() - begin < 1
    waiting[0].close()
    assert waiting[1].reply().code == 100
    limit(ub, resource.RLIMIT_NOFILE, None)
    assert waiting[2].reply().code == 100


def test_a_start_without_descriptors(ub, peers):
    """The first worker needs three."""
    ub.ok("bridge create b")
    for _ in range(2):
        ub.ok(f"bridge add_nio_udp b {peers.port()} 127.0.0.1 9")
    limit(ub, resource.RLIMIT_NOFILE, ub.descriptors())
    assert "Too many open files" in ub.fails(209, "bridge start b")
    assert ub.ok("bridge show b")[0] == "bridge 'b' is not running"
    limit(ub, resource.RLIMIT_NOFILE, None)
    ub.ok("bridge start b")


# ---- threads

def limit_threads(ub, soft):
    """As the program's own user may: root without CAP_SYS_RESOURCE may not."""
    subprocess.run(["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups", "prlimit",
                    f"--pid={ub.pid}", f"--nproc={soft}:"], check=True)


@pytest.mark.plain_build   # sanitizers end the process when a thread can not be started
def test_no_threads(launch, peers, directory, binary, patience):
    """Not even one worker: the start fails. One worker: it does the work of all."""
    copy = os.path.join(directory, "ubridge")
    shutil.copyfile(binary, copy)
    os.chmod(copy, 0o755)
    ub = launch(user="nobody", binary=copy, args=["--workers", "4"])
    links = []
    for name in ("a", "b"):
        left, right = peers.udp(), peers.udp()
        left.to, right.to = peers.port(), peers.port()
        ub.udp_bridge(name, (left.to, left.port), (right.to, right.port), start=False)
        links.append((left, right))
    limit_threads(ub, 1)
    assert "thread" in ub.fails(209, "bridge start a")
    ub.fails(206, f"bridge add_nio_udp a {peers.port()} host.invalid 9")
    ub.ok("bridge create c")
    ub.fails(206, f"bridge add_nio_udp c {peers.port()} host.invalid 9",
             "unable to create NIO UDP for bridge 'c'")
    limit_threads(ub, resource.getrlimit(resource.RLIMIT_NPROC)[1])
    ub.ok("bridge start a")
    limit_threads(ub, 1)
    ub.ok("bridge start b")
    assert ub.threads() == 2
    for left, right in links:
        recovers(left.send, right)
        recovers(right.send, left)


# ---- memory

def address_space(ub):
    with open(f"/proc/{ub.pid}/statm", encoding="ascii") as file:
        return int(file.read().split()[0]) * os.sysconf("SC_PAGE_SIZE")


@pytest.mark.plain_build   # sanitizers need all address space there is
def test_no_memory(ub, witnessed, patience):
    witnessed(ub)
    limit(ub, resource.RLIMIT_AS, address_space(ub) + (1 << 20))
    codes = {100}
    made = 0
    while codes == {100}:
        assert made < 1 << 20
        replies = pipelined(ub, [f"bridge create {number}" for number in range(made, made + 1000)])
        codes = {reply.code for reply in replies}
        made += 1000
    assert codes <= {100, 206, 215}
    failed = next(reply for reply in replies if reply.code != 100)
    assert "memory" in failed.text
    # each command gets its answer, though it may be this one
    for _ in range(100):
        assert ub.cmd("bridge show witness").code in {100, 215}
    limit(ub, resource.RLIMIT_AS, None)
    ub.ok("bridge create after")
    assert {reply.code for reply in pipelined(
        ub, [f"bridge delete {number}" for number in range(1000)])} == {100}


@pytest.mark.plain_build   # sanitizers need all address space there is
def test_no_memory_for_a_worker(ub, peers, patience):
    left, right = peers.udp(), peers.udp()
    left.to, right.to = peers.port(), peers.port()
    ub.udp_bridge("b", (left.to, left.port), (right.to, right.port), start=False)
    limit(ub, resource.RLIMIT_AS, address_space(ub) + (1 << 20))
    assert "could not be started" in ub.fails(209, "bridge start b")
    limit(ub, resource.RLIMIT_AS, None)
    ub.ok("bridge start b")
    recovers(left.send, right)


# ---- many bridges

def test_many_bridges(ub, peers, witnessed, measure, patience):
    """They are made, one of them is used, all of them end, and nobody else notices."""
    many = MANY // patience // patience
    _, hard = resource.prlimit(ub.pid, resource.RLIMIT_NOFILE)
    running = min(many, (hard - 200) // 2)
    witnessed(ub)
    begin = time.monotonic()
    lines = [f"bridge create m{number}" for number in range(many)]
    for number in range(many - running, many):
        # the kernel chooses the ports
        lines += [f"bridge add_nio_udp m{number} 0 127.0.0.1 9",
                  f"bridge add_nio_udp m{number} 0 127.0.0.1 9", f"bridge start m{number}"]
    assert {reply.code for reply in pipelined(ub, lines)} == {100}
    measure(f"{many} bridges: making one", (time.monotonic() - begin) / many)

    left, right = peers.udp(), peers.udp()
    left.to, right.to = peers.port(), peers.port()
    ub.udp_bridge("last", (left.to, left.port), (right.to, right.port))
    recovers(left.send, right)
    assert len(ub.ok("bridge list", deadline=30)) == many + 2
    begin = time.monotonic()
    assert {reply.code for reply in pipelined(
        ub, [f"bridge delete m{number}" for number in range(many)])} == {100}
    measure(f"{many} bridges: deleting one", (time.monotonic() - begin) / many)
    wait_until(lambda: ub.descriptors() < 100, what="the descriptors to be closed")
    left.send(frames.frame())
    right.expect(frames.frame())
