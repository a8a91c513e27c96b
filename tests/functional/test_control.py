# SPDX-License-Identifier: GPL-3.0-or-later
"""The control server: framing, many clients, bad clients. PROTOCOL sections 1 to 3."""
import random
import socket
import struct
import threading
import time

import pytest

from lab.wait import wait_until


def test_several_commands_in_one_segment(ub):
    ub.send(b"bridge create a\nbridge create b\r\n\nbridge list\n")
    replies = [ub.reply() for _ in range(4)]
    assert [reply.code for reply in replies] == [100, 100, 200, 100]
    assert replies[3].info == ["b (NIOs = 0)", "a (NIOs = 0)"]


def test_one_command_byte_by_byte(ub):
    for byte in b"bridge create a\r\n":
        ub.send(bytes([byte]))
    assert ub.reply().text == "bridge 'a' created"


@pytest.mark.parametrize("line, code, text", [
    ("", 200, "At least a module and a command must be specified"),
    ("   \t ", 200, "At least a module and a command must be specified"),
    ("# hypervisor version", 200, "At least a module and a command must be specified"),
    ("hypervisor", 200, "At least a module and a command must be specified"),
    ('hypervisor ""', 200, "At least a module and a command must be specified"),
    ('bridge create "a', 200, "Parse error: unexpected end of line"),
    ('bridge create a"b', 200, "Parse error: unexpected quote"),
    ('bridge create "a b"', 100, "bridge 'a b' created"),
    ('bridge create ""a', 100, "bridge 'a' created"),
    ('bridge create a#b', 100, "bridge 'a' created"),
    ('bridge create "a#b!"', 100, "bridge 'a#b!' created"),
    ('bridge create a\\n', 100, "bridge 'a\\n' created"),
    ("bridge create 'a", 100, "bridge ''a' created"),
    ("bridge create %s%n%d", 100, "bridge '%s%n%d' created"),
    ('"bridge" "create" "a"', 100, "bridge 'a' created"),
    ('bridge create "a"b', 203, "Bad number of parameters (2 with min/max=1/1)"),
])
def test_grammar(ub, line, code, text):
    reply = ub.cmd(line)
    assert (reply.code, reply.text) == (code, text)
    ub.ok("hypervisor version")


def test_bytes_after_a_carriage_return_are_ignored(ub):
    ub.send(b"bridge create a\rgarbage\n")
    assert ub.reply().text == "bridge 'a' created"


@pytest.mark.parametrize("size", [509, 511, 512, 513, 1024, 4095, 4096, 4097, 16384, 32768,
                                  65000, 65535])
def test_long_lines(ub, size):
    """A line of `size` bytes, its LF included; the name comes back in the reply."""
    name = "n" * (size - len("bridge create \n"))
    ub.ok(f"bridge create {name}", f"bridge '{name}' created")
    assert ub.ok("bridge list") == [f"{name} (NIOs = 0)"]
    ub.ok(f"bridge delete {name}", f"bridge '{name}' deleted")


def test_a_long_line_of_many_words(ub):
    line = "bridge create" + " x" * 30000
    assert ub.cmd(line).text == "Bad number of parameters (30000 with min/max=1/1)"


@pytest.mark.parametrize("size", [70000, 1 << 20, 8 << 20])
def test_too_long_lines_are_refused(ub, size):
    """One error; then the connection goes on or ends, and everybody else goes on."""
    bad = ub.client()
    sender = threading.Thread(target=_send_quietly, args=(bad, b"x" * size + b"\n"))
    sender.start()
    try:
        reply = bad.reply()
        assert reply.code == 200, reply
        ub.ok("hypervisor version", deadline=2)
        sender.join(10)
        assert not sender.is_alive(), "the rest of the line is not read"
        bad.send("hypervisor version")
        assert bad.reply().code == 100
    except (ConnectionError, AssertionError) as error:
        if isinstance(error, AssertionError) and "connection ended" not in str(error):
            raise
    finally:
        bad.close()
        sender.join(10)
    ub.ok("hypervisor version")


def _send_quietly(client, data):
    try:
        client.send(data)
    except OSError:
        pass


def test_random_lines(ub, peers):
    """10,000 lines of noise: one final reply each, and a running link does not notice."""
    left, right = peers.udp(), peers.udp()
    left.to, right.to = peers.port(), peers.port()
    ub.udp_bridge("link", (left.to, left.port), (right.to, right.port))
    noise = random.Random(4242)
    words = [b"bridge", b"iol_bridge", b"docker", b"brctl", b"hypervisor", b"create", b"delete",
             b"start", b"add_nio_udp", b"add_nio_tap", b"add_nio_unix", b"add_packet_filter",
             b"start_capture", b"get_stats", b"show", b"rename", b"move_to_ns", b"set_mac_addr",
             b"delete_nio_udp", b"x", b"-1", b"99999999999", b"127.0.0.1", b"%s%s%n", b"\"",
             b"\"\"", b"#", b"!", b"'", b"\\", b"\xff\xfe", b"\x00", b"\x01\x7f", b"a" * 300]
    # words that would end the test, make files or devices, or wait for names are not tried
    harmless = [w for w in words if w not in (b"start_capture", b"add_nio_tap", b"add_nio_unix")]
    for _ in range(100):
        batch = b""
        for _ in range(100):
            if noise.random() < 0.5:
                line = b" ".join(noise.choice(harmless) for _ in range(noise.randrange(1, 9)))
            else:
                line = bytes(noise.randrange(256) for _ in range(noise.randrange(80)))
            batch += line.replace(b"\n", b" ") + b"\n"
        ub.send(batch)
        for _ in range(100):
            ub.reply(20)
    left.send(b"still here")
    right.expect(b"still here")
    assert "link (NIOs = 2)" in ub.ok("bridge list")


def test_replies_are_ascii_for_ascii(ub):
    ub.send(b"hypervisor cmd_list bridge\nbridge show none\nbridge create a\n")
    for _ in range(3):
        reply = ub.reply()
        assert all(line.isascii() for line in reply.info + [reply.text])


@pytest.mark.parametrize("how", ["close", "reset", "half"])
def test_disconnect_in_the_middle_of_a_command(ub, how):
    for _ in range(20):
        client = ub.client()
        client.send(b"bridge create torso")
        if how == "reset":
            client.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        if how == "half":
            client.sock.shutdown(socket.SHUT_WR)
            client.expect_eof()
        client.close()
    assert ub.ok("bridge list") == []


def test_disconnect_before_the_reply(ub):
    """The command is done all the same, and nobody is hurt by the reply nobody reads."""
    for number in range(50):
        client = ub.client()
        client.send(f"bridge create b{number}")
        client.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        client.close()
    wait_until(lambda: len(ub.ok("bridge list")) == 50, what="the commands to be done")


def test_a_half_closed_client_gets_its_replies(ub):
    client = ub.client()
    client.send(b"hypervisor version\nhypervisor module_list\n")
    client.sock.shutdown(socket.SHUT_WR)
    assert client.reply().code == 100
    assert len(client.reply().info) == 5
    client.expect_eof()


def test_500_clients_at_once(ub, patience):
    clients = [ub.client() for _ in range(500)]
    begin = time.monotonic()
    for number, client in enumerate(clients):
        client.send(f"bridge create b{number}")
    for number, client in enumerate(clients):
        assert client.reply(30).text == f"bridge 'b{number}' created"
    assert time.monotonic() - begin < 10 * patience
    assert len(ub.ok("bridge list")) == 500
    before = ub.descriptors()
    for client in clients:
        client.close()
    wait_until(lambda: ub.descriptors() <= before - 500, what="the closed connections to go")


def test_connections_leave_nothing_behind(ub):
    ub.ok("hypervisor version")
    before = ub.descriptors(), ub.threads()
    for _ in range(200):
        client = ub.client()
        client.ok("hypervisor version")
        client.close()
    wait_until(lambda: (ub.descriptors(), ub.threads()) <= before,
               what="descriptors and threads as before")


def test_a_slow_client_delays_nobody(ub, patience):
    """One that asks and never reads: the others get their replies as ever."""
    slow = ub.client()
    slow.sock.setblocking(False)
    stuck = time.monotonic() + 3
    try:
        while time.monotonic() < stuck:
            slow.sock.send(b"hypervisor cmd_list bridge\n" * 500)
            _prompt(ub, patience)
    except BlockingIOError:
        pass
    for _ in range(50):
        _prompt(ub, patience)
    other = ub.client()
    _prompt(other, patience)
    slow.close()


def _prompt(client, patience):
    begin = time.monotonic()
    client.ok("bridge list")
    assert time.monotonic() - begin < 0.5 * patience


def test_a_slow_reader_gets_every_reply_in_the_end(ub):
    slow = ub.client()
    sender = threading.Thread(target=slow.send, args=(b"hypervisor cmd_list bridge\n" * 5000,))
    sender.start()
    ub.ok("hypervisor version")
    for _ in range(5000):
        assert len(slow.reply(20).info) == 22
    sender.join(10)
    assert not sender.is_alive()


def test_silent_clients_delay_nobody(ub, patience):
    silent = [ub.client() for _ in range(20)]
    for number, client in enumerate(silent):
        if number % 2:
            client.send(b"bridge cre")
    for _ in range(20):
        _prompt(ub, patience)


def test_an_unknown_host_stalls_only_who_asked(launch, peers, ns, patience):
    """The resolver is made to wait; the bridge may even go meanwhile."""
    peers.udp(53)
    ub = launch(files={
        "/etc/resolv.conf": "nameserver 127.0.0.1\noptions timeout:2 attempts:1\n",
        "/etc/nsswitch.conf": "hosts: files dns\n"})
    ub.ok("bridge create b")
    ub.ok("bridge create gone")
    waiting = [ub.client(), ub.client()]
    begin = time.monotonic()
    waiting[0].send(f"bridge add_nio_udp b {peers.port()} nowhere.test 10000")
    waiting[1].send(f"bridge add_nio_udp gone {peers.port()} nowhere.test 10000")
    while time.monotonic() - begin < 1:
        _prompt(ub, patience)
    ub.ok("bridge delete gone")
    reply = waiting[0].reply(30)
    assert (reply.code, reply.text) == (206, "unable to create NIO UDP for bridge 'b'")
    assert time.monotonic() - begin > 1, "the resolver did not wait: the test shows nothing"
    assert waiting[1].reply(30).code in (206, 214)
    assert ub.ok("bridge list") == ["b (NIOs = 0)"]


def test_a_client_may_leave_while_the_resolver_waits(launch, peers):
    peers.udp(53)
    ub = launch(files={
        "/etc/resolv.conf": "nameserver 127.0.0.1\noptions timeout:1 attempts:1\n",
        "/etc/nsswitch.conf": "hosts: files dns\n"})
    ub.ok("bridge create b")
    for _ in range(3):
        client = ub.client()
        client.send(f"bridge add_nio_udp b {peers.port()} nowhere.test 10000")
        client.close()
    before = ub.descriptors
    ub.ok("bridge show b")
    wait_until(lambda: before() <= 60, what="descriptors to go")


def test_commands_of_all_clients_share_one_state(ub):
    others = [ub.client() for _ in range(5)]
    for number, client in enumerate(others):
        client.ok(f"bridge create b{number}")
    for client in others:
        assert len(client.ok("bridge list")) == 5
    others[0].ok("bridge delete b4")
    others[1].fails(214, "bridge show b4", "bridge 'b4' doesn't exist")


def test_clients_that_all_change_the_same(ub, peers):
    """Many threads of commands at once: every reply is one of the possible ones."""
    def work(client, number):
        noise = random.Random(number)
        for _ in range(150):
            command = noise.choice(["create b", "delete b", "start b", "stop b", "show b",
                                    "get_stats b", "rename b c", "rename c b", "reset_stats b",
                                    f"add_nio_udp b {ports[number]} 127.0.0.1 9",
                                    f"delete_nio_udp b {ports[number]} 127.0.0.1 9"])
            reply = client.cmd(f"bridge {command}", 20)
            if reply.code not in (100, 206, 209, 210, 213, 214):
                wrong.append((command, reply))

    ports = [peers.port() for _ in range(4)]
    wrong = []
    threads = [threading.Thread(target=work, args=(ub.client(), number)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
        assert not thread.is_alive()
    assert not wrong
