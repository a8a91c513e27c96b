# SPDX-License-Identifier: GPL-3.0-or-later
"""Module docker with processes in namespaces of their own: PROTOCOL section 10."""
import subprocess

import pytest

from lab.wait import wait_until

NETLINK = "could not complete netlink transaction"


def links_of(pid):
    """Names of the interfaces of a process, without its help."""
    with open(f"/proc/{pid}/net/dev", encoding="ascii") as table:
        return {line.split(":")[0].strip() for line in table if ":" in line}


def is_up(ns, name):
    return "UP" in ns.ip(f"-o link show {name}").split("<")[1].split(">")[0].split(",")


class TestCreateVeth:
    def test_a_pair(self, ub, ns):
        assert ub.ok("docker create_veth va vb", "veth pair created: va and vb") == []
        assert {"va", "vb"} <= ns.links()
        assert is_up(ns, "va") and not is_up(ns, "vb")
        features = ns.run("ethtool", "-k", "vb")
        assert "tx-checksumming: off" in features

    @pytest.mark.parametrize("one, two, text", [
        ("sixteen-letters-", "vb", "name is too long"),
        ("va", "sixteen-letters-", "name is too long"),
        ("va", "x" * 3000, "name is too long"),
        ("va", "va", NETLINK), ("lo", "vb", NETLINK), ("va", "lo", NETLINK),
        ("a/b", "vb", NETLINK), ("va", ".", NETLINK),
    ])
    def test_errors_leave_nothing_behind(self, ub, ns, one, two, text):
        before = ns.links()
        ub.fails(206, f"docker create_veth {one} {two}", text)
        assert ns.links() == before

    def test_names_of_one_and_fifteen_letters(self, ub, ns):
        ub.ok("docker create_veth a fifteen-letters")
        assert {"a", "fifteen-letters"} <= ns.links()

    def test_it_stays_when_the_program_ends(self, ub, ns):
        """It is the client's, until the client deletes it."""
        ub.ok("docker create_veth va vb")
        ub.stop()
        assert {"va", "vb"} <= ns.links()


class TestDeleteVeth:
    @pytest.mark.parametrize("end", ["va", "vb"])
    def test_either_end(self, ub, ns, end):
        ub.ok("docker create_veth va vb")
        ub.ok(f"docker delete_veth {end}", f"veth interface {end} has been deleted")
        assert not {"va", "vb"} & ns.links()

    def test_errors(self, ub, ns):
        ub.fails(207, "docker delete_veth none0", "could not find interface index for none0")
        ub.fails(207, "docker delete_veth " + "x" * 3000)
        ub.fails(207, "docker delete_veth lo", NETLINK)
        assert "lo" in ns.links()

    def test_a_hundred_times(self, ub, ns):
        descriptors = set()
        for _ in range(100):
            ub.ok("docker create_veth va vb")
            ub.ok("docker delete_veth va")
            descriptors.add(ub.descriptors())
        assert len(descriptors) == 1, f"descriptors leak: {descriptors}"
        assert ns.links() == {"lo"}


class TestMoveToNs:
    def test_it_is_complete_with_the_reply(self, ub, ns, pause_process):
        process = pause_process()
        for number in range(20):
            ub.ok("docker create_veth va vb")
            ub.ok(f"docker move_to_ns vb {process.pid} eth{number}",
                  f"vb moved to namespace {process.pid}")
            assert f"eth{number}" in links_of(process.pid)
            assert "vb" not in ns.links()
            ub.ok("docker delete_veth va")
            wait_until(lambda: f"eth{number}" not in links_of(process.pid), what="it to go")

    def test_a_dead_process_is_an_error(self, ub, ns):
        process = subprocess.Popen(["true"])
        process.wait()
        ub.ok("docker create_veth va vb")
        ub.fails(206, f"docker move_to_ns vb {process.pid} eth0", NETLINK)
        assert "vb" in ns.links()

    def test_a_dead_process_is_an_error_for_a_tap(self, ub, ns):
        process = subprocess.Popen(["true"])
        process.wait()
        ub.ok("bridge create bridge0")
        ub.ok("bridge add_nio_tap bridge0 tap-gns3-e0")
        ub.fails(206, f"docker move_to_ns tap-gns3-e0 {process.pid} eth0", NETLINK)
        assert "tap-gns3-e0" in ns.links()
        ub.ok("bridge delete bridge0")

    @pytest.mark.parametrize("pid", ["0", "-1", "x", "1x", "99999999", "4294967297", "''",
                                     "99999999999999999999"])
    def test_no_process_at_all(self, ub, ns, pid):
        ub.ok("docker create_veth va vb")
        ub.fails(206, f"docker move_to_ns vb {pid} eth0")
        assert "vb" in ns.links()

    def test_other_errors(self, ub, ns, pause_process):
        process = pause_process()
        ub.fails(206, f"docker move_to_ns none0 {process.pid} eth0",
                 "could not find interface index for none0")
        ub.ok("docker create_veth va vb")
        for name in ("lo", "sixteen-letters-", "a/b", ".", "x" * 200, "x" * 5000):
            ub.fails(206, f"docker move_to_ns vb {process.pid} {name}", NETLINK)
            assert "vb" in ns.links(), f"gone after {name}"
        ub.ok(f"docker move_to_ns vb {process.pid} eth0")

    def test_names_of_any_allowed_length(self, ub, pause_process):
        process = pause_process()
        for name in ("e", "fifteen-letters"):
            ub.ok("docker create_veth va vb")
            ub.ok(f"docker move_to_ns vb {process.pid} {name}")
            assert name in links_of(process.pid)
            ub.ok("docker delete_veth va")


class TestSetMacAddr:
    def test_it(self, ub, ns):
        ub.ok("docker create_veth va vb")
        for name, mac in (("va", "02:42:AC:00:00:01"), ("vb", "0c:9a:11:22:33:44")):
            ub.ok(f"docker set_mac_addr {name} {mac}",
                  f"MAC address {mac} has been successfully set on interface {name}")
            assert mac.lower() in ns.ip(f"link show {name}")

    def test_on_a_tap(self, ub, ns):
        ub.ok("bridge create b")
        ub.ok("bridge add_nio_tap b tap0")
        ub.ok("docker set_mac_addr tap0 02:00:00:aa:bb:cc")
        assert "02:00:00:aa:bb:cc" in ns.ip("link show tap0")

    @pytest.mark.parametrize("mac", ["x", "02:00:00:00:00", "02:00:00:00:00:01:02",
                                     "02:00:00:00:00:0g", "2:0:0:0:0:1", "020000000001",
                                     "02-00-00-00-00-01", "02:00:00:00:00:01x", "02:00:00:00:00:",
                                     "02:00:00:00:00:001"])
    def test_no_mac_address(self, ub, mac):
        ub.ok("docker create_veth va vb")
        ub.fails(206, f"docker set_mac_addr va {mac}", "invalid MAC address format")

    def test_other_errors(self, ub):
        text = "could not set a MAC address on interface"
        ub.ok("docker create_veth va vb")
        ub.fails(206, "docker set_mac_addr sixteen-letters- x", "interface name is too long")
        ub.fails(206, "docker set_mac_addr none0 02:00:00:00:00:01", f"{text} none0")
        ub.fails(206, "docker set_mac_addr va 01:00:00:00:00:01", f"{text} va")
        ub.fails(206, "docker set_mac_addr va 00:00:00:00:00:00", f"{text} va")


def test_a_container_link_of_veth_and_raw(ub, ns, peers, pause_process):
    """The other way to connect a container: veth, and a packet socket on our end."""
    process = pause_process()
    far = peers.udp()
    far.to = peers.port()
    ub.ok("docker create_veth vh vc")
    ub.ok(f"docker move_to_ns vc {process.pid} eth0")
    ub.ok("bridge create b")
    ub.ok("bridge add_nio_linux_raw b vh")
    ub.ok(f"bridge add_nio_udp b {far.to} 127.0.0.1 {far.port}")
    ub.ok("bridge start b")
    subprocess.run(["nsenter", "-n", "-t", str(process.pid), "bash", "-c",
                    "ip addr add 10.0.0.1/24 dev eth0 && ip link set eth0 up && "
                    "ip neigh add 10.0.0.2 lladdr 02:00:00:00:00:02 dev eth0 && "
                    "echo hello >/dev/udp/10.0.0.2/9999"], check=True, timeout=30)
    packets = far.receive_all(1)
    assert any(b"hello\n" in packet for packet in packets)
