# SPDX-License-Identifier: GPL-3.0-or-later
"""Module bridge: the commands about bridges themselves. PROTOCOL section 5."""
import pytest

from lab.wait import wait_until


def test_create_list_delete(ub):
    ub.ok("bridge create a", "bridge 'a' created")
    ub.ok("bridge create b", "bridge 'b' created")
    ub.fails(206, "bridge create a", "bridge 'a' already exist")
    assert ub.ok("bridge list", "OK") == ["b (NIOs = 0)", "a (NIOs = 0)"]
    ub.ok("bridge delete a", "bridge 'a' deleted")
    assert ub.ok("bridge list") == ["b (NIOs = 0)"]
    ub.ok("bridge create a")
    assert ub.ok("bridge list") == ["a (NIOs = 0)", "b (NIOs = 0)"]


@pytest.mark.parametrize("command", [
    "delete none", "start none", "stop none", "rename none other", "show none",
    "get_stats none", "reset_stats none", "add_nio_udp none 1 127.0.0.1 1",
    "add_nio_udp none abc abc abc", "add_nio_unix none /tmp/none1 /tmp/none2",
    "add_nio_tap none tap0", "add_nio_ethernet none lo", "add_nio_linux_raw none lo",
    "delete_nio_udp none 1 127.0.0.1 1", "remove_nio_udp none x y z",
    "start_capture none /tmp/none.pcap", "stop_capture none",
    "add_packet_filter none f delay 1", "delete_packet_filter none f",
    "reset_packet_filters none", "set_pcap_filter none", "set_pcap_filter none ip",
])
def test_every_command_on_a_bridge_that_is_not_there(ub, command):
    ub.fails(214, f"bridge {command}", "bridge 'none' doesn't exist")


@pytest.mark.parametrize("nios", [0, 1])
def test_start_needs_two_nios(ub, peers, nios):
    ub.ok("bridge create b")
    for _ in range(nios):
        ub.ok(f"bridge add_nio_udp b {peers.port()} 127.0.0.1 9")
    ub.fails(209, "bridge start b", "bridge 'b' must have 2 NIOs to be started")
    assert ub.ok("bridge show b")[0] == "bridge 'b' is not running"


def test_start_and_stop(ub, tunnel):
    left, right = tunnel
    ub.fails(209, "bridge start t", "bridge 't' is already running")
    assert ub.ok("bridge show t")[0] == "bridge 't' is running"
    ub.ok("bridge stop t", "bridge 't' stopped")
    ub.fails(210, "bridge stop t", "bridge 't' is not running")
    assert ub.ok("bridge show t")[0] == "bridge 't' is not running"
    before = ub.stats("t")
    left.send(b"held")
    right.expect_nothing()
    assert ub.stats("t")["destination"] == before["destination"]
    ub.ok("bridge start t", "bridge 't' started")
    right.receive_all(0.2)
    left.send(b"again")
    right.expect(b"again")


def test_rename(ub, tunnel):
    left, right = tunnel
    ub.ok("bridge create other")
    left.send(b"one")
    right.expect(b"one")
    ub.fails(213, "bridge rename t other", "bridge 'other' already exist")
    ub.fails(213, "bridge rename t t", "bridge 't' already exist")
    wait_until(lambda: ub.stats("t")["source"][0] == 1, what="the counter")
    ub.ok("bridge rename t u", "bridge 't' renamed to 'u'")
    assert ub.ok("bridge list") == ["other (NIOs = 0)", "u (NIOs = 2)"]
    assert ub.ok("bridge show u")[0] == "bridge 'u' is running"
    ub.fails(214, "bridge show t")
    left.send(b"two")
    right.expect(b"two")
    wait_until(lambda: ub.stats("u")["source"][:2] == (2, 6), what="the counters to go on")


def test_a_full_bridge_takes_no_more(ub, peers, tunnel, directory, ns):
    """Whatever kind is refused leaves nothing behind."""
    ns.ip("link add va type veth peer name vb")
    ns.ip("link set va up")
    port, before = peers.port(), ub.descriptors()
    text = "bridge 't' has already 2 allocated NIOs"
    ub.fails(206, f"bridge add_nio_udp t {port} 127.0.0.1 9", text)
    ub.fails(206, f"bridge add_nio_unix t {directory}/s {directory}/p", text)
    ub.fails(206, "bridge add_nio_tap t taptap", text)
    ub.fails(206, "bridge add_nio_linux_raw t va", text)
    ub.fails(206, "bridge add_nio_ethernet t va", text)
    assert "taptap" not in ns.links()
    assert ub.descriptors() == before
    peers.udp(port)
    peers.unix(f"{directory}/s")
    left, right = tunnel
    left.send(b"unhurt")
    right.expect(b"unhurt")


def test_show(ub, peers, directory):
    ports = [peers.port(), peers.port()]
    ub.ok("bridge create b")
    assert ub.ok("bridge show b", "OK") == ["bridge 'b' is not running"]
    ub.ok(f"bridge add_nio_udp b {ports[0]} localhost 2000")
    ub.ok(f"bridge add_nio_unix b {directory}/a {directory}/b")
    ub.ok("bridge add_packet_filter b first delay 1")
    ub.ok("bridge add_packet_filter b second packet_loss 1")
    assert ub.ok("bridge show b") == [
        "bridge 'b' is not running",
        "Filter 'first' configured in position 1",
        "Filter 'second' configured in position 2",
        f"Source NIO: {ports[0]}:localhost:2000",
        f"Destination NIO: {directory}/a -> {directory}/b"]
    ub.ok(f"bridge remove_nio_udp b {ports[0]} localhost 2000")
    assert ub.ok("bridge show b")[3:] == [f"Destination NIO: {directory}/a -> {directory}/b"]
    ub.ok(f"bridge add_nio_udp b {ports[1]} 127.0.0.1 2001")
    assert ub.ok("bridge show b")[3] == f"Source NIO: {ports[1]}:127.0.0.1:2001"


def test_delete_closes_everything_before_the_reply(ub, peers, ns, directory):
    ports = [peers.port() for _ in range(2)]
    descriptors = []
    for _ in range(5):
        ub.udp_bridge("u", (ports[0], 9), (ports[1], 9))
        ub.ok(f"bridge start_capture u {directory}/u.pcap")
        ub.ok("bridge create d")
        ub.ok("bridge add_nio_tap d tapdel")
        ub.ok(f"bridge add_nio_unix d {directory}/s {directory}/p")
        ub.ok("bridge start d")
        ub.ok("bridge delete u")
        ub.ok("bridge delete d")
        for port in ports:
            peers.udp(port).close()
        peers.unix(f"{directory}/s").close()
        assert "tapdel" not in ns.links()
        descriptors.append(ub.descriptors())
    assert len(set(descriptors)) == 1, f"descriptors leak: {descriptors}"


@pytest.mark.parametrize("start", [True, False])
def test_delete_and_create_with_the_same_ports_1000_times(ub, peers, start):
    """GNS3 does so when a link is deleted and drawn again."""
    left, right = peers.udp(), peers.udp()
    left.to, right.to = peers.port(), peers.port()
    nios = (left.to, left.port), (right.to, right.port)
    ub.udp_bridge("b", *nios, start=start)
    before = ub.descriptors(), ub.threads()
    for number in range(1000):
        ub.ok("bridge delete b", "bridge 'b' deleted")
        ub.udp_bridge("b", *nios, start=start)
        if start and number % 100 == 0:
            left.send(b"%d" % number)
            right.expect(b"%d" % number)
    after = ub.descriptors(), ub.threads()
    assert after <= before, f"descriptors, threads: {before} before, {after} after"


def test_many_bridges(ub, peers):
    """200 running links in one process, all of which work."""
    ends = []
    for number in range(200):
        left, right = peers.udp(buffer=1 << 16), peers.udp(buffer=1 << 16)
        left.to, right.to = peers.port(), peers.port()
        ub.udp_bridge(f"b{number}", (left.to, left.port), (right.to, right.port))
        ends.append((left, right))
    for left, _ in ends:
        left.send(b"there")
    for _, right in ends:
        right.expect(b"there")
        right.send(b"back")
    for left, _ in ends:
        left.expect(b"back")
    assert ub.threads() <= 1 + 64, "the number of threads must not grow with the bridges"


def test_names_are_any_words(ub):
    for name in ("VPCS-1f2e-3d", "a/b", "ü", "%n%s", "x" * 1000, "-1", "0"):
        ub.ok(f"bridge create {name}", f"bridge '{name}' created")
        ub.ok(f'bridge delete "{name}"', f"bridge '{name}' deleted")


def test_one_bad_bridge_leaves_the_others_alone(ub, tunnel, peers, ns):
    left, right = tunnel
    ub.ok("bridge create bad")
    for command in ("add_nio_udp bad 70000 127.0.0.1 1", "add_nio_udp bad 1 nowhere.invalid 1",
                    "add_nio_tap bad this-name-is-far-too-long", "add_nio_linux_raw bad none0",
                    "add_nio_ethernet bad none0", "add_nio_unix bad /none/a /none/b",
                    "add_packet_filter bad f delay x"):
        ub.fails(206, f"bridge {command}")
        left.send(command.encode())
        right.expect(command.encode())
    assert ub.ok("bridge show bad") == ["bridge 'bad' is not running"]
