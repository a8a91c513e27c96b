# SPDX-License-Identifier: GPL-3.0-or-later
"""Reading capture files back."""
import struct
import subprocess


def header(path):
    """The file header as (magic, major, minor, snaplen, linktype)."""
    with open(path, "rb") as file:
        data = file.read(24)
    assert len(data) == 24, f"only {len(data)} bytes of a 24-byte header"
    magic, major, minor, _, _, snaplen, linktype = struct.unpack("=IHHiIII", data)
    return magic, major, minor, snaplen, linktype


def records(path):
    """The packets as (microseconds, bytes), in the order of the file."""
    with open(path, "rb") as file:
        data = file.read()
    found, at = [], 24
    while at < len(data):
        seconds, microseconds, stored, length = struct.unpack_from("=IIII", data, at)
        assert stored == length and at + 16 + stored <= len(data), f"broken at {at}"
        found.append((seconds * 1000000 + microseconds, data[at + 16:at + 16 + stored]))
        at += 16 + stored
    return found


def packets(path):
    return [data for _, data in records(path)]


def times(path):
    return [stamp for stamp, _ in records(path)]


def tcpdump(path, expression=""):
    """What tcpdump makes of it, a line per packet; it must find the file sound."""
    done = subprocess.run(["tcpdump", "-n", "-e", "-r", str(path), *expression.split()],
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert "truncated" not in done.stderr, done.stderr
    return [line for line in done.stdout.splitlines() if not line.startswith("\t")]
