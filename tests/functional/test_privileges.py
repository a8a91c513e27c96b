# SPDX-License-Identifier: GPL-3.0-or-later
"""What the program may still do once it runs, and whose files it writes."""
import os
import re
import shutil
import stat
import subprocess
import sys

import pytest

from lab import capture, frames

NET_BIND_SERVICE, NET_ADMIN, NET_RAW, DAC_OVERRIDE, SYS_PTRACE, SYS_ADMIN = 10, 12, 13, 1, 19, 21
NOBODY = 65534


def status(ub):
    """/proc/PID/status, capabilities as sets of numbers."""
    with open(f"/proc/{ub.pid}/status", encoding="ascii") as file:
        fields = dict(line.rstrip("\n").split(":\t", 1) for line in file if ":\t" in line)
    for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"):
        mask = int(fields[name], 16)
        fields[name] = {bit for bit in range(64) if mask >> bit & 1}
    return fields


def test_root_gives_up_what_no_feature_needs(ub):
    ub.ok("hypervisor version")
    seen = status(ub)
    wanted = {NET_BIND_SERVICE, NET_ADMIN, NET_RAW, DAC_OVERRIDE, SYS_PTRACE, SYS_ADMIN}
    assert seen["CapPrm"] == seen["CapEff"] == seen["CapBnd"] & wanted
    assert seen["CapBnd"] <= wanted and {NET_ADMIN, NET_RAW} <= seen["CapEff"]
    assert seen["CapInh"] == seen["CapAmb"] == set()
    assert (seen["NoNewPrivs"], seen["Seccomp"]) == ("1", "0")


def test_least_privilege(launch, ns, peers):
    """Devices still work with the two capabilities that are left."""
    ub = launch(args=["--least-privilege"])
    ub.ok("hypervisor version")
    seen = status(ub)
    assert seen["CapPrm"] == seen["CapEff"] == seen["CapBnd"] == {NET_ADMIN, NET_RAW}
    ns.veth("va", "vb")
    ub.ok("bridge create b")
    ub.ok("bridge add_nio_linux_raw b va")
    ub.ok("bridge add_nio_tap b tapl")
    ub.ok("bridge start b")
    ns.quiet("tapl")
    ns.ip("link set tapl up")
    peers.raw("vb").send(frames.frame())
    ub.ok("docker create_veth vx vy")
    ub.ok("docker delete_veth vx")
    ub.ok("bridge create e")
    ub.ok("bridge add_nio_ethernet e vb")


def test_threads_are_restricted_as_well(launch, peers, patience):
    ub = launch(args=["--least-privilege"])
    left, right = peers.udp(), peers.udp()
    left.to, right.to = peers.port(), peers.port()
    ub.udp_bridge("t", (left.to, left.port), (right.to, right.port))
    left.send(frames.frame())
    right.expect(frames.frame())
    for task in os.listdir(f"/proc/{ub.pid}/task"):
        with open(f"/proc/{ub.pid}/task/{task}/status", encoding="ascii") as file:
            text = file.read()
        assert "NoNewPrivs:\t1" in text
        assert patience > 1 or "Seccomp:\t2" in text    # left out with sanitizers


# ---- set-user-id

@pytest.fixture
def set_user_id(binary, launch, directory):
    """A program that nobody has started from a set-user-id file of root."""
    copy = os.path.join(directory, "ubridge")
    shutil.copyfile(binary, copy)
    os.chmod(copy, 0o4755)
    wrapper = os.path.join(directory, "wrapper")
    with open(wrapper, "w", encoding="ascii") as file:
        # what launch() does to the bounding set would make the file no better than any other
        file.write(f'#!/bin/sh\nexec setpriv --reuid=nobody --regid=nogroup --clear-groups '
                   f'{copy} "$@"\n')
    os.chmod(wrapper, 0o755)
    ub = launch(binary=wrapper)
    ub.ok("hypervisor version")
    if not status(ub)["CapPrm"]:
        pytest.skip("set-user-id files have no effect here")
    return ub


def test_set_user_id_becomes_the_user(set_user_id, ns):
    seen = status(set_user_id)
    assert set(seen["Uid"].split()) == {str(NOBODY)}
    assert seen["CapPrm"] == seen["CapEff"] == {NET_ADMIN, NET_RAW}
    set_user_id.ok("bridge create b")
    set_user_id.ok("bridge add_nio_linux_raw b lo")
    set_user_id.ok("docker create_veth vu vw")
    assert "vu" in ns.links()


def test_set_user_id_writes_what_the_user_may_write(set_user_id, directory):
    ub = set_user_id
    secret = os.path.join(directory, "secret")
    os.mkdir(secret, 0o700)
    with open(f"{directory}/roots", "w", encoding="ascii") as file:
        file.write("precious")
    ub.ok("bridge create b")
    ub.fails(209, f"bridge start_capture b {secret}/c.pcap")
    ub.fails(209, f"bridge start_capture b {directory}/roots")
    ub.fails(206, f"bridge add_nio_unix b {secret}/sock /nowhere")
    with open(f"{directory}/roots", encoding="ascii") as file:
        assert file.read() == "precious"
    ub.ok(f"bridge start_capture b {directory}/c.pcap")
    ub.ok(f"bridge add_nio_unix b {directory}/sock /nowhere")
    ub.ok("iol_bridge create i 296")
    for path in (f"{directory}/c.pcap", f"{directory}/sock", f"/tmp/netio{NOBODY}/296.lck"):
        assert os.lstat(path).st_uid == NOBODY, path


# ---- links in a directory for everybody

@pytest.fixture
def shared(directory):
    """As /tmp is; root's."""
    path = os.path.join(directory, "shared")
    os.mkdir(path)
    os.chmod(path, 0o1777)
    return path


@pytest.fixture
def victim(directory):
    path = os.path.join(directory, "victim")
    with open(path, "w", encoding="ascii") as file:
        file.write("precious")
    yield path
    with open(path, encoding="ascii") as file:
        assert file.read() == "precious"


def as_nobody(*argv):
    subprocess.run(["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups", *argv],
                   check=True)


@pytest.fixture
def sysctls_off():
    """The kernel has a rule like ours of its own; this is about ours."""
    saved = {}
    for name in ("protected_symlinks", "protected_regular", "protected_hardlinks",
                 "protected_fifos"):
        path = f"/proc/sys/fs/{name}"
        try:
            with open(path, "r+", encoding="ascii") as knob:
                saved[path] = knob.read()
                knob.seek(0)
                knob.write("0")
        except OSError:
            pass
    yield
    for path, value in saved.items():
        with open(path, "w", encoding="ascii") as knob:
            knob.write(value)


@pytest.mark.usefixtures("sysctls_off")
class TestSharedDirectory:
    def test_link_of_another_user(self, ub, shared, victim):
        as_nobody("ln", "-s", victim, f"{shared}/c.pcap")
        ub.ok("bridge create b")
        ub.fails(209, f"bridge start_capture b {shared}/c.pcap")
        assert "Permission denied" in ub.stderr()

    def test_link_to_nothing_of_another_user(self, ub, shared, directory):
        as_nobody("ln", "-s", f"{directory}/new", f"{shared}/c.pcap")
        ub.ok("bridge create b")
        ub.fails(209, f"bridge start_capture b {shared}/c.pcap")
        assert not os.path.exists(f"{directory}/new")

    def test_link_of_our_own(self, ub, shared, directory):
        os.symlink(f"{directory}/new", f"{shared}/c.pcap")
        ub.ok("bridge create b")
        ub.ok(f"bridge start_capture b {shared}/c.pcap")
        assert capture.packets(f"{directory}/new") == []

    def test_link_elsewhere_is_followed(self, ub, directory):
        """Only such directories are special: others' owners may have their links."""
        os.symlink(f"{directory}/new", f"{directory}/c.pcap")
        ub.ok("bridge create b")
        ub.ok(f"bridge start_capture b {directory}/c.pcap")
        assert capture.packets(f"{directory}/new") == []

    def test_file_of_another_user(self, ub, shared):
        as_nobody(sys.executable, "-c", f"open('{shared}/c.pcap', 'w').write('mine')")
        ub.ok("bridge create b")
        ub.fails(209, f"bridge start_capture b {shared}/c.pcap")
        with open(f"{shared}/c.pcap", encoding="ascii") as file:
            assert file.read() == "mine"

    def test_file_with_another_name(self, ub, shared, victim):
        os.link(victim, f"{shared}/c.pcap")
        ub.ok("bridge create b")
        ub.fails(209, f"bridge start_capture b {shared}/c.pcap")

    def test_file_of_our_own_is_replaced(self, ub, shared):
        with open(f"{shared}/c.pcap", "w", encoding="ascii") as file:
            file.write("x" * 1000)
        ub.ok("bridge create b")
        ub.ok(f"bridge start_capture b {shared}/c.pcap")
        assert os.path.getsize(f"{shared}/c.pcap") == 24

    def test_sockets_do_not_follow_links(self, ub, shared, directory):
        as_nobody("ln", "-s", f"{directory}/new", f"{shared}/sock")
        ub.ok("bridge create b")
        ub.fails(206, f"bridge add_nio_unix b {shared}/sock {shared}/peer")
        assert not os.path.lexists(f"{directory}/new")


def test_lock_directory_is_closed_to_others(ub):
    """Who may write there could put other sockets in place of IOL's."""
    path = f"/tmp/netio{os.getuid()}"
    os.makedirs(path, exist_ok=True)
    before = stat.S_IMODE(os.lstat(path).st_mode)
    os.chmod(path, 0o777)
    try:
        ub.ok("iol_bridge create i 295")
        assert stat.S_IMODE(os.lstat(path).st_mode) == 0o755
        ub.ok("iol_bridge delete i")
    finally:
        os.chmod(path, before)


def test_lock_file_is_no_link(ub, victim):
    path = f"/tmp/netio{os.getuid()}"
    os.makedirs(path, mode=0o700, exist_ok=True)
    os.symlink(victim, f"{path}/294.lck")
    try:
        assert re.search("could not get lock", ub.fails(206, "iol_bridge create i 294"))
    finally:
        os.unlink(f"{path}/294.lck")
