# SPDX-License-Identifier: GPL-3.0-or-later
"""Module brctl: PROTOCOL section 11."""
import pytest


def test_addif(ub, ns):
    ns.ip("link add br0 type bridge")
    ns.ip("link add va type veth peer name vb")
    for _ in range(2):
        ub.ok("brctl addif br0 va", "va has been added to bridge br0")
    shown = ns.ip("-o link show va")
    assert "master br0" in shown and "UP" in shown.split("<")[1].split(">")[0].split(",")


@pytest.mark.parametrize("running", [False, True])
def test_a_tap_device_has_its_offloads_before(ub, ns, peers, running):
    """To get them under load it would lose its carrier, and the Linux bridge blocks it for that."""
    ns.ip("link add br0 type bridge")
    ub.ok("bridge create b")
    ub.ok("bridge add_nio_tap b tap0")
    ub.ok(f"bridge add_nio_udp b {peers.port()} 127.0.0.1 9")
    if running:
        ub.ok("bridge start b")
    ub.ok("brctl addif br0 tap0", "tap0 has been added to bridge br0")
    shown = ns.ip("-d -o link show tap0")
    assert "master br0" in shown and "vnet_hdr on" in shown


def test_errors(ub, ns):
    ns.ip("link add br0 type bridge")
    ns.ip("link add br1 type bridge")
    ns.ip("link add va type veth peer name vb")
    ub.fails(206, "brctl addif br0 none0", "Could not find interface none0")
    ub.fails(206, "brctl addif none0 none1", "Could not find interface none1")
    ub.fails(206, "brctl addif none0 va", "Could not add interface va to none0: No such device")
    ub.fails(206, "brctl addif br0 lo", "Could not add interface lo to br0: Invalid argument")
    ub.fails(206, "brctl addif br0 " + "x" * 3000)
    ub.fails(206, "brctl addif " + "x" * 3000 + " va")
    ub.ok("brctl addif br0 va")
    ub.fails(206, "brctl addif br1 va")
    assert "master br0" in ns.ip("-o link show va")
