# SPDX-License-Identifier: GPL-3.0-or-later
"""Module hypervisor: PROTOCOL section 4."""
import re

import pytest

COMMANDS = {
    "hypervisor": """stop 0/0, close 0/0, reset 0/0, cmd_list 1/1, module_list 0/0,
        version 0/0""",
    "bridge": """list 0/0, set_pcap_filter 1/2, reset_packet_filters 1/1,
        delete_packet_filter 2/2, add_packet_filter 2/10, stop_capture 1/1,
        start_capture 2/3, add_nio_linux_raw 2/2, add_nio_ethernet 2/2, add_nio_tap 2/2,
        add_nio_unix 3/3, delete_nio_udp 4/4, remove_nio_udp 4/4, add_nio_udp 4/4,
        rename 2/2, reset_stats 1/1, get_stats 1/1, show 1/1, stop 1/1, start 1/1,
        delete 1/1, create 1/1""",
    "iol_bridge": """list 0/0, reset_packet_filters 3/3, delete_packet_filter 4/4,
        add_packet_filter 4/15, stop_capture 3/3, start_capture 4/5, delete_nio_udp 3/3,
        add_nio_udp 7/7, rename 2/2, reset_stats 1/1, get_stats 1/1, stop 1/1, start 1/1,
        delete 1/1, create 2/2""",
    "docker": "set_mac_addr 2/2, move_to_ns 3/3, delete_veth 1/1, create_veth 2/2",
    "brctl": "addif 2/2",
}


def table(module):
    return [tuple(entry.split()) for entry in COMMANDS[module].split(",")]


def test_version_is_what_gns3_takes(ub):
    version = ub.cmd("hypervisor version")
    assert version.code == 100
    parts = tuple(map(int, re.fullmatch(r"(\d+)\.(\d+)\.(\d+)", version.text).groups()))
    assert (0, 9, 14) <= parts < (1, 2, 3)


def test_module_list(ub):
    assert ub.ok("hypervisor module_list", "OK") == \
        ["brctl", "iol_bridge", "docker", "bridge", "hypervisor"]


@pytest.mark.parametrize("module", COMMANDS)
def test_command_list(ub, module):
    assert ub.ok(f"hypervisor cmd_list {module}", "OK") == \
        [f"{name} (min/max args: {limits})" for name, limits in table(module)]


def test_command_list_of_an_unknown_module(ub):
    ub.fails(201, "hypervisor cmd_list nothing", "unknown module 'nothing'")


@pytest.mark.parametrize("module", COMMANDS)
def test_every_command_counts_its_arguments(ub, module):
    for name, limits in table(module):
        least, most = map(int, limits.split("/"))
        for count in {least - 1, most + 1, most + 100} - {-1}:
            ub.fails(203, " ".join([module, name] + ["x"] * count),
                     f"Bad number of parameters ({count} with min/max={limits})")


def test_unknown_modules_and_commands(ub):
    ub.fails(201, "nothing version", "Unknown module 'nothing'")
    ub.fails(201, "Bridge list", "Unknown module 'Bridge'")
    ub.fails(202, "bridge nothing", "Unknown command 'nothing'")
    ub.fails(202, "bridge LIST", "Unknown command 'LIST'")
    ub.fails(202, "bridge add_nio_fusion_vmnet b en0", "Unknown command 'add_nio_fusion_vmnet'")


def test_close_ends_only_this_connection(ub):
    other = ub.client()
    other.send(b"hypervisor close\nbridge create late\n")
    assert other.reply().code == 100
    other.expect_eof()
    assert ub.ok("bridge list") == []


def test_reset_removes_everything(ub, peers):
    """Idle, running and IOL bridges go, and their names and ports are free again."""
    ports = [peers.port() for _ in range(4)]
    for _ in range(3):
        ub.udp_bridge("running", (ports[0], 9), (ports[1], 9))
        ub.udp_bridge("idle", (ports[2], 9), start=False)
        ub.ok("iol_bridge create iol 877")
        ub.ok(f"iol_bridge add_nio_udp iol 1 0 0 {ports[3]} 127.0.0.1 9")
        ub.ok("hypervisor reset", "OK")
        assert ub.ok("bridge list") == []
        assert ub.ok("iol_bridge list") == []


def test_reset_twice(ub):
    ub.ok("bridge create b")
    ub.ok("hypervisor reset")
    ub.ok("hypervisor reset")
