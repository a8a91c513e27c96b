# SPDX-License-Identifier: GPL-3.0-or-later
"""The far ends of NIOs: plain sockets in a namespace."""
import errno
import os
import socket
import struct
import time

SOL_PACKET = 263
PACKET_AUXDATA = 8
PACKET_OUTGOING = 4
TP_STATUS_VLAN_VALID = 1 << 4
TP_STATUS_VLAN_TPID_VALID = 1 << 6


class Peer:
    """What all far ends share: receiving with a deadline."""
    sock = None

    def close(self):
        self.sock.close()

    def read(self):
        """One packet, or None when it is none of ours; overridden where that can be."""
        return self.sock.recv(65536)

    def receive(self, within=5.0):
        """The next packet; fails when none comes in time."""
        end = time.monotonic() + within
        while True:
            self.sock.settimeout(max(end - time.monotonic(), 0.000001))
            try:
                packet = self.read()
            except TimeoutError:
                raise AssertionError(f"no packet within {within} s") from None
            if packet is not None:
                return packet

    def receive_all(self, idle=0.3):
        """All packets until none has come for `idle` seconds."""
        packets = []
        try:
            while True:
                packets.append(self.receive(idle))
        except AssertionError:
            return packets

    def expect(self, packet, within=5.0):
        got = self.receive(within)
        assert got == packet, f"got {got[:80]!r} ({len(got)}), want {packet[:80]!r} ({len(packet)})"

    def expect_nothing(self, within=0.3):
        got = self.receive_all(within)
        assert not got, f"unexpected: {got[0][:80]!r}"


class UdpPeer(Peer):
    """A UDP socket on `address`:`port` (0: any) that sends to `to` on the same host."""

    def __init__(self, ns, port=0, to=None, address="127.0.0.1", buffer=1 << 22):
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        with ns:
            self.sock = socket.socket(family, socket.SOCK_DGRAM)
        for option in (socket.SO_RCVBUF, socket.SO_SNDBUF):
            # the FORCE variants (33, 32) are not limited by net.core.*mem_max
            self.sock.setsockopt(socket.SOL_SOCKET,
                                 33 if option == socket.SO_RCVBUF else 32, buffer)
        self.address = address
        self.sock.bind((address, port))
        self.port = self.sock.getsockname()[1]
        self.to = to

    def send(self, packet, to=None):
        self.sock.sendto(packet, (self.address, to or self.to))


class UnixPeer(Peer):
    """A unix datagram socket bound at `path`."""

    def __init__(self, path):
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.path = str(path)
        self.sock.bind(self.path)

    def close(self):
        super().close()
        if os.path.exists(self.path):
            os.unlink(self.path)

    def send(self, packet, to):
        self.sock.sendto(packet, str(to))


class RawPeer(Peer):
    """A packet socket on an interface; sees what the interface receives, tags in place."""

    def __init__(self, ns, interface):
        with ns:
            # with a protocol it would hear all interfaces until it is bound
            self.sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
            self.sock.setsockopt(SOL_PACKET, PACKET_AUXDATA, 1)
            self.sock.setsockopt(socket.SOL_SOCKET, 33, 1 << 22)
            self.sock.bind((interface, 3))

    def send(self, frame):
        self.sock.send(frame)

    def read(self):
        try:
            frame, control, _, sender = self.sock.recvmsg(1 << 17, 256)
        except OSError as error:
            if error.errno == errno.ENETDOWN:
                return None
            raise
        if sender[2] == PACKET_OUTGOING:
            return None
        for level, kind, data in control:
            if level == SOL_PACKET and kind == PACKET_AUXDATA:
                status, _, _, _, _, tci, tpid = struct.unpack("=IIIHHHH", data[:20])
                if status & TP_STATUS_VLAN_VALID:
                    if not status & TP_STATUS_VLAN_TPID_VALID:
                        tpid = 0x8100
                    frame = frame[:12] + struct.pack("!HH", tpid, tci) + frame[12:]
        return frame
