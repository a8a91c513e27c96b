# SPDX-License-Identifier: GPL-3.0-or-later
"""Frames as a strict receiver sees them: everything that is there to be checked is checked."""
import socket
import struct
from dataclasses import dataclass

TCP, UDP, GRE, SCTP = 6, 17, 47, 132
EXTENSIONS = (0, 43, 60)
VXLAN_PORT = 4789
MPLS = 0x8847

FIN, SYN, RST, PSH, ACK = 0x01, 0x02, 0x04, 0x08, 0x10


@dataclass
class Packet:
    """What the headers of a frame say; `inner` is the packet in a VXLAN tunnel."""
    tags: int = 0
    labels: int = 0
    version: int = 0
    ip_len: int = 0
    id: int = 0
    fragment: bool = False
    flow: tuple = ()
    protocol: int = 0
    seq: int = 0
    flags: int = 0
    payload: bytes = b""
    inner: "Packet" = None


def fold(data):
    """The one's complement sum of 16-bit words."""
    if len(data) % 2:
        data += b"\0"
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xffff) + (total >> 16)
    return total


def crc32c(data):
    crc = 0xffffffff
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82f63b78 if crc & 1 else 0)
    return crc ^ 0xffffffff


def parse(frame):
    """A frame as a Packet; fails where a length or checksum is wrong."""
    packet, at = Packet(), 12
    kind = int.from_bytes(frame[at:at + 2], "big")
    while kind in (0x8100, 0x88a8):
        packet.tags, at = packet.tags + 1, at + 4
        kind = int.from_bytes(frame[at:at + 2], "big")
    at += 2
    if kind == MPLS:
        kind, at = _labels(packet, frame, at)
    if kind == 0x0800:
        _ipv4(packet, frame[at:])
    elif kind == 0x86dd:
        _ipv6(packet, frame[at:])
    return packet


def _labels(packet, frame, at):
    last = False
    while not last:
        packet.labels, last, at = packet.labels + 1, frame[at + 2] & 1, at + 4
    return (0x0800 if frame[at] >> 4 == 4 else 0x86dd), at


def _ipv4(packet, data):
    header = 4 * (data[0] & 15)
    assert fold(data[:header]) == 0xffff, "the IPv4 header checksum is wrong"
    packet.version, packet.ip_len = 4, int.from_bytes(data[2:4], "big")
    assert packet.ip_len == len(data) or len(data) == 46 > packet.ip_len, \
        f"IPv4 says {packet.ip_len} bytes, there are {len(data)}"
    packet.id = int.from_bytes(data[4:6], "big")
    packet.fragment = int.from_bytes(data[6:8], "big") & 0x3fff != 0
    packet.protocol = data[9]
    if not packet.fragment:
        _transport(packet, data[12:16], data[16:20], data[header:packet.ip_len])


def _ipv6(packet, data):
    packet.version, packet.ip_len = 6, 40 + int.from_bytes(data[4:6], "big")
    assert packet.ip_len == len(data), f"IPv6 says {packet.ip_len} bytes, there are {len(data)}"
    kind, at = data[6], 40
    while kind in EXTENSIONS:
        kind, at = data[at], at + 8 * (1 + data[at + 1])
    packet.protocol, packet.fragment = kind, kind == 44
    if not packet.fragment:
        _transport(packet, data[8:24], data[24:40], data[at:])


def _transport(packet, source, destination, data):
    if packet.protocol == SCTP:
        crc = crc32c(data[:8] + b"\0\0\0\0" + data[12:])
        assert data[8:12] == struct.pack("<I", crc), "the SCTP checksum is wrong"
        return
    if packet.protocol not in (TCP, UDP):
        packet.payload = data
        return
    checksum_at = 16 if packet.protocol == TCP else 6
    ports = struct.unpack("!HH", data[:4])
    # only tunnels may do without over IPv6 (RFC 6936)
    needed = packet.protocol == TCP or packet.version == 6 and ports[1] != VXLAN_PORT
    if needed or data[6:8] != b"\0\0":
        pseudo = source + destination + struct.pack("!II", len(data), packet.protocol)
        assert fold(pseudo + data) == 0xffff, \
            f"the checksum {data[checksum_at:checksum_at + 2].hex()} of protocol " \
            f"{packet.protocol} is wrong"
    packet.flow = (packet.protocol, source, destination, *ports)
    if packet.protocol == TCP:
        packet.seq, packet.flags = int.from_bytes(data[4:8], "big"), data[13]
        packet.payload = data[4 * (data[12] >> 4):]
        return
    assert int.from_bytes(data[4:6], "big") == len(data), "the UDP length is wrong"
    packet.payload = data[8:]
    if ports[1] == VXLAN_PORT:
        packet.inner = parse(data[16:])


def ipv4(payload, protocol, *, ident=0, options=b"", fragment=0, source="10.0.0.1",
         destination="10.0.0.2", ttl=64):
    """An IPv4 packet with a right header checksum."""
    header = struct.pack("!BBHHHBBH4s4s", 0x45 + len(options) // 4, 0,
                         20 + len(options) + len(payload), ident, fragment, ttl, protocol, 0,
                         socket.inet_aton(source), socket.inet_aton(destination)) + options
    check = 0xffff - fold(header)
    return header[:10] + struct.pack("!H", check) + header[12:] + payload


def ipv6(payload, protocol, *, extensions=b"", source="fd00::1", destination="fd00::2"):
    """An IPv6 packet; extensions end in the right next header."""
    return struct.pack("!IHBB16s16s", 0x60000000, len(extensions) + len(payload),
                       0 if extensions else protocol, 64, socket.inet_pton(socket.AF_INET6, source),
                       socket.inet_pton(socket.AF_INET6, destination)) + extensions + payload


def labelled(frame, labels):
    """An untagged frame with MPLS labels in front of its packet."""
    stack = b"".join(struct.pack("!I", label << 12 | (label == labels[-1]) << 8 | 64)
                     for label in labels)
    return frame[:12] + struct.pack("!H", MPLS) + stack + frame[14:]


def _pseudo(protocol, length, source, destination):
    family = socket.AF_INET6 if ":" in source else socket.AF_INET
    return socket.inet_pton(family, source) + socket.inet_pton(family, destination) + \
        struct.pack("!II", length, protocol)


def open_checksum(protocol, length, source, destination):
    """What is in the field while the checksum is left to a device."""
    return struct.pack("!H", fold(_pseudo(protocol, length, source, destination)))


def tcp(payload, *, seq=1, flags=ACK, sport=4000, dport=5000, source="10.0.0.1",
        destination="10.0.0.2"):
    """A TCP segment with a right checksum."""
    head = struct.pack("!HHIIBBHHH", sport, dport, seq, 1, 5 << 4, flags, 500, 0, 0)
    check = 0xffff - fold(_pseudo(TCP, len(head + payload), source, destination) + head + payload)
    return head[:16] + struct.pack("!H", check) + head[18:] + payload


def udp(payload, *, sport=4000, dport=5000, source="10.0.0.1", destination="10.0.0.2"):
    """A UDP datagram with a right checksum."""
    head = struct.pack("!HHHH", sport, dport, 8 + len(payload), 0)
    check = 0xffff - fold(_pseudo(UDP, len(head + payload), source, destination) + head + payload)
    return head[:6] + struct.pack("!H", check or 0xffff) + payload


def ethernet(packet, *, source="02:00:00:00:00:01", destination="02:00:00:00:00:02", tags=()):
    """A frame around an IP packet; tags are (tpid, tci), outermost first."""
    def mac(text):
        return bytes.fromhex(text.replace(":", ""))
    kind = 0x0800 if packet[0] >> 4 == 4 else 0x86dd
    return mac(destination) + mac(source) + b"".join(struct.pack("!HH", *tag) for tag in tags) + \
        struct.pack("!H", kind) + packet
