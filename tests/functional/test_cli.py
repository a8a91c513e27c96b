# SPDX-License-Identifier: GPL-3.0-or-later
"""Command line, listening addresses, signals, privileges. PROTOCOL sections 13 and 14."""
import os
import re
import shutil
import signal
import socket
import subprocess

import pytest

from lab.program import Client, free_port, spawn
from lab.wait import wait_until


def test_version_line_is_what_gns3_looks_for(run):
    status, out, err = run("-v")
    assert (status, err) == (0, "")
    assert re.search(r"^ubridge version ([0-9a-z\.]+)$", out, re.M)
    assert out == "ubridge version 1.0.0\n"


def test_help_names_every_option(run):
    status, out, err = run("-h")
    assert (status, err) == (0, "")
    assert out.startswith("Usage: ")
    for option in "hvedfH":
        assert re.search(rf"(^|\s)-{option}\b", out), option


def test_long_options_of_the_help_exist(run):
    """None of them is an unknown option, and those for help and version work.

    The status of --help is the one that the conformance case cli-bad-option fixes.
    """
    _, out, _ = run("-h")
    names = set(re.findall(r"--([a-z][a-z-]+)", out))
    assert {"help", "version"} <= names
    assert run("--help")[:2] == (1, out)
    assert run("--version")[:2] == run("-v")[:2]
    for name in names - {"help", "version"}:
        status, _, err = run(f"--{name}", "-v", "-h")
        assert "unrecognized option" not in err and "ambiguous" not in err, err


def test_device_list(run, ns):
    ns.ip("link add zz9 type veth peer name zz8")
    ns.ip("link set zz9 up")
    status, out, _ = run("-e")
    assert status == 0
    assert out.startswith("Network device list:\n\n")
    assert re.search(r"^  zz9 => ", out, re.M)
    assert re.search(r"^  lo => ", out, re.M)


@pytest.mark.parametrize("arguments, message", [
    (["-x"], "invalid option -- 'x'"),
    (["-H"], "option requires an argument -- 'H'"),
    (["-d"], "option requires an argument -- 'd'"),
    (["-f"], "option requires an argument -- 'f'"),
])
def test_bad_options(run, arguments, message):
    status, _, err = run(*arguments)
    assert status == 1
    assert message in err


@pytest.mark.parametrize("listen", ["70000", "127.0.0.1:70000", "127.0.0.1:-1", "127.0.0.1:abc",
                                    "127.0.0.1:12x", "nowhere.invalid:4242", "192.0.2.1:4242"])
def test_addresses_that_cannot_be(run, listen):
    status, _, err = run("-H", listen)
    assert status not in (0, None)
    assert status > 0, "ended by a signal"
    assert err, "and nothing says why"


def listening(ns, port):
    """The addresses something listens at on this port."""
    out = ns.run("ss", "-Hltn", f"sport = :{port}")
    return {line.split()[3].rsplit(":", 1)[0].split("%")[0] for line in out.splitlines()}


@pytest.mark.parametrize("form, want, reach", [
    ("{port}", {"127.0.0.1"}, "127.0.0.1"),
    (":{port}", {"127.0.0.1"}, "127.0.0.1"),
    ("127.0.0.1:{port}", {"127.0.0.1"}, "127.0.0.1"),
    ("127.0.0.2:{port}", {"127.0.0.2"}, "127.0.0.2"),
    ("0.0.0.0:{port}", {"0.0.0.0"}, "127.0.0.3"),
    ("four.test:{port}", {"127.0.0.1"}, "127.0.0.1"),
    ("six.test:{port}", {"[::1]"}, "::1"),
    ("::1:{port}", {"[::1]"}, "::1"),
    ("[::1]:{port}", {"[::1]"}, "::1"),
    (":::{port}", None, "::1"),
    ("[::]:{port}", None, "::1"),
])
def test_listening_forms(launch_with, ns, form, want, reach):
    port = free_port(ns)
    launch_with(form.format(port=port))
    client = wait_until(lambda: _try_client(ns, port, reach), 10, "the control port")
    client.ok("hypervisor version")
    client.close()
    got = listening(ns, port)
    if want is None:
        assert got & {"[::]", "*"}, got
    else:
        assert got == want


def _try_client(ns, port, address):
    try:
        return Client(ns, port, address)
    except ConnectionRefusedError:
        return None


@pytest.fixture
def launch_with(binary, ns, directory):
    """Start with any -H argument; ends with SIGTERM and status 0."""
    started = []

    def make(listen, **kwargs):
        hosts = "127.0.0.1 localhost four.test\n::1 localhost6 six.test\n"
        started.append(spawn([binary, "-H", listen], ns, directory,
                             files={"/etc/hosts": hosts}, **kwargs))
        return started[-1]
    yield make
    for process in started:
        if process.poll() is None:
            process.terminate()
        try:
            assert process.wait(10) == 0
        finally:
            process.kill()


@pytest.mark.parametrize("listen", [":", "0", "127.0.0.1:", "127.0.0.1:0"])
def test_no_port_means_4242(launch_with, ns, listen):
    launch_with(listen)
    client = wait_until(lambda: _try_client(ns, 4242, "127.0.0.1"), 10, "port 4242")
    client.ok("hypervisor version")
    client.close()


def test_a_taken_port_is_a_failure(run, ns):
    with ns, socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        status, _, err = run("-H", f"127.0.0.1:{port}")
    assert status > 0
    assert "Hypervisor: unable to create TCP sockets." in err


def test_a_port_in_time_wait_is_free(launch, ns):
    """GNS3 starts the next one on the port of the last."""
    port = free_port(ns)
    for _ in range(5):
        ub = launch(port=port)
        ub.ok("hypervisor version")
        ub.stop()


def test_start_messages(ub):
    text = wait_until(lambda: "started" in ub.stdout() and ub.stdout(), what="start message")
    assert re.search(r"^uBridge version \S+ running with ", text, re.M)
    assert f"Hypervisor TCP control server started (IP 127.0.0.1 port {ub.port})." in text


def test_no_greeting(ub):
    client = ub.client()
    client.sock.settimeout(0.3)
    with pytest.raises(TimeoutError):
        client.sock.recv(1)


def test_an_idle_process_has_one_thread(ub):
    ub.ok("hypervisor version")
    wait_until(lambda: ub.threads() == 1, what="a single thread")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("when", ["empty", "idle", "running"])
def test_signals_end_it_well(ub, peers, directory, number, when, patience, measure):
    path = os.path.join(directory, "sock")
    if when != "empty":
        ub.ok("bridge create b")
        ub.ok(f"bridge add_nio_unix b {path} {path}.peer")
        ub.ok("bridge add_nio_tap b tapsig")
        assert os.path.exists(path)
    if when == "running":
        ub.ok("bridge start b")
    ub.process.send_signal(number)
    took = ub.wait_exit(0, 5 * patience)
    measure(f"end after {number.name} ({when})", took)
    assert took < 1 * patience
    assert not os.path.exists(path)
    assert "tapsig" not in ub.ns.links()


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGPIPE])
def test_signals_without_effect(ub, number):
    ub.process.send_signal(number)
    for _ in range(3):
        ub.client().ok("hypervisor version")
    assert ub.alive()


def test_nobody_can_run_it(launch, peers, directory, binary):
    """Without any capability UDP and unix links work; what needs one says 206."""
    copy = os.path.join(directory, "ubridge")
    shutil.copyfile(binary, copy)
    os.chmod(copy, 0o755)
    ub = launch(user="nobody", binary=copy)
    status = open(f"/proc/{ub.pid}/status", encoding="ascii").read()
    assert re.search(r"^CapEff:\s+0+$", status, re.M), "it has capabilities: shows nothing"
    assert not re.search(r"^Uid:\s+0\b", status, re.M)
    left, right = peers.udp(), peers.udp()
    left.to, right.to = peers.port(), peers.port()
    ub.udp_bridge("b", (left.to, left.port), (right.to, right.port))
    left.send(b"from the left")
    right.expect(b"from the left")
    right.send(b"from the right")
    left.expect(b"from the right")
    ub.ok("bridge create u")
    ub.ok(f"bridge add_nio_unix u {directory}/u0/sock {directory}/peer")
    ub.ok("bridge create x")
    ub.fails(206, "bridge add_nio_tap x tapno", "unable to create NIO TAP for bridge 'x'")
    ub.fails(206, "bridge add_nio_linux_raw x lo",
             "unable to create NIO Linux raw for bridge 'x'")
    ub.fails(206, "bridge add_nio_ethernet x lo",
             "unable to create NIO Ethernet for bridge 'x'")
    ub.fails(206, "docker create_veth va vb")
    ub.fails(206, "docker set_mac_addr lo 02:00:00:00:00:01")
    assert ub.ok("bridge show x") == ["bridge 'x' is not running"]


def test_output_is_line_buffered(ub):
    """GNS3 reads the log of the living process."""
    ub.ok("bridge create b")
    ub.fails(206, 'bridge add_packet_filter b f bpf "not a filter"')
    wait_until(lambda: "Cannot compile filter 'not a filter': syntax error" in ub.output(),
               what="the message in the file")


def test_process_name_is_ubridge(ub):
    """GNS3 kills ghosts by this name."""
    with open(f"/proc/{ub.pid}/comm", encoding="ascii") as comm:
        assert comm.read() == "ubridge\n"


def test_stdin_is_not_needed(binary, ns, directory):
    port = free_port(ns)
    with ns:
        process = subprocess.Popen([binary, "-H", f"127.0.0.1:{port}"], cwd=directory,
                                   stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                   stderr=subprocess.DEVNULL, close_fds=True)
    try:
        client = wait_until(lambda: _try_client(ns, port, "127.0.0.1"), 10, "the control port")
        client.ok("hypervisor stop", "OK")
        client.expect_eof()
        assert process.wait(10) == 0
    finally:
        process.kill()
        process.wait()
