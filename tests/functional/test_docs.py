# SPDX-License-Identifier: GPL-3.0-or-later
"""What the documentation prints works as printed.

Code blocks of *.md, by the language after the fence:

ubridge     a dialogue: "> " lines are sent, the others must be the replies
console     "$ " lines are run, the others must be their output; "..." stands for any lines
sh          a script, which must succeed
sh build    the same, in a copy of the source tree
sh manual   not run here; the paragraph in front says "Not run by the tests" and why
ini         becomes ubridge.ini, and every section of it must come up without complaint
text        nothing to be run

Each part with a "## " heading has a place of its own: network and mount namespace, empty
working directory, the interfaces eth0, eth1, br0 and a process that is called 4711. A dialogue
goes to port 4242; where nobody listens, a program is started. In manual pages it is the display
of literal text in each .Sh or .Ss, and what it holds is told by its first characters.
"""
import glob
import os
import re
import shutil
import signal
import subprocess
from dataclasses import dataclass, field

import pytest

from lab.engine import TOP
from lab.netns import Namespace
from lab.program import Client, assert_no_report
from lab.wait import wait_until

PORT = 4242
PAGES = sorted(glob.glob(f"{TOP}/*.md") + glob.glob(f"{TOP}/docs/*.md"))
MANUALS = sorted(glob.glob(f"{TOP}/man/*.[0-9]"))
KINDS = {"ubridge", "console", "sh", "sh build", "sh manual", "ini", "text"}
MANUAL_MAX = 4
CONTAINER = "4711"


@dataclass
class Block:
    """One piece of code; where is "file:line"."""
    kind: str
    text: str
    where: str
    before: str = ""


@dataclass
class Section:
    """What is run in one place."""
    name: str
    blocks: list = field(default_factory=list)


def read(path):
    with open(path, encoding="utf-8") as file:
        return file.read()


# ---- finding the blocks

def markdown_sections(path):
    page = os.path.relpath(path, TOP)
    sections, block, paragraph = [Section(page)], None, ""
    for number, line in enumerate(read(path).splitlines(), 1):
        if block is not None:
            if line == "```":
                sections[-1].blocks.append(block)
                block, paragraph = None, ""
            else:
                block.text += line + "\n"
        elif line.startswith("```"):
            block = Block(line[3:].strip(), "", f"{page}:{number}", paragraph)
        elif line.startswith("## "):
            sections.append(Section(f"{page} {line[3:]}"))
        elif line:
            paragraph += line + "\n"
    assert block is None, f"{page}: a fence is not closed"
    return sections


def manual_kind(text):
    for begin, kind in (("> ", "ubridge"), ("$ ", "console"), ("[", "ini"), (";", "ini")):
        if text.startswith(begin):
            return kind
    return "text"


def manual_sections(path):
    page = os.path.relpath(path, TOP)
    sections, text = [Section(page)], None
    for number, line in enumerate(read(path).splitlines(), 1):
        if line.startswith((".Sh ", ".Ss ")):
            sections.append(Section(f"{page} {line[4:]}"))
        elif line.startswith(".Bd -literal"):
            text, begin = "", number
        elif line == ".Ed" and text is not None:
            sections[-1].blocks.append(
                Block(manual_kind(text), text, f"{page}:{begin}"))
            text = None
        elif text is not None:
            for escape, plain in ((r"\-", "-"), (r"\&", ""), (r"\(aq", "'"), (r"\e", "\\")):
                line = line.replace(escape, plain)
            text += line + "\n"
    return sections


def all_sections():
    return [section
            for pages, find in ((PAGES, markdown_sections), (MANUALS, manual_sections))
            for page in pages for section in find(page) if section.blocks]


SECTIONS = all_sections()
BLOCKS = [block for section in SECTIONS for block in section.blocks]


# ---- the place where they run

SET_UP = """
mount --make-rprivate /
mount -t tmpfs none /mnt
mkdir /mnt/tree
: >/mnt/ubridge
mount --bind "$1" /mnt/ubridge
mount --rbind "$2" /mnt/tree
for directory in /usr/local /run /tmp; do
    mount -t tmpfs none $directory
done
mkdir /usr/local/bin /tmp/work /tmp/log
ln -s /mnt/ubridge /usr/local/bin
ln -s "$(command -v busybox)" /usr/local/bin/nc
ln -s nc /usr/local/bin/telnet
ln -s nc /usr/local/bin/ping
echo ready
exec sleep 1000000
"""


class Place:
    """Namespaces in which the program is installed as /usr/local/bin/ubridge."""
    def __init__(self, binary):
        self.ns = Namespace()
        self.ns.ip("link add eth0 type veth peer name eth1")
        self.ns.ip("link add br0 type bridge")
        for name in ("eth0", "eth1", "br0"):
            self.ns.ip(f"link set {name} up")
        self.ns.ip("addr add 192.0.2.1/24 dev eth0")
        self.ns.ip("addr add 2001:db8::1/64 dev eth0 nodad")
        self.scripts, self.container, self.number = [], None, 0
        self.served = False         # a script has started a program with -H
        with self.ns:
            self.holder = subprocess.Popen(
                ["unshare", "-m", "sh", "-ec", SET_UP, "sh", binary, TOP],
                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
        assert self.holder.stdout.readline() == "ready\n"

    def path(self, name):
        """A path in there, as seen from here."""
        return f"/proc/{self.holder.pid}/root/tmp/{name}"

    def read(self, name):
        return read(self.path(name))

    def environment(self):
        env = dict(os.environ, LC_ALL="C.UTF-8", USER="root", DEBIAN_FRONTEND="noninteractive")
        env["PATH"] = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
        for name in ("ASAN", "TSAN", "UBSAN", "LSAN"):
            options = [env.get(f"{name}_OPTIONS"), f"log_path=/tmp/log/{name.lower()}"]
            env[f"{name}_OPTIONS"] = ":".join(filter(None, options))
        return env

    def start(self, script, **kwargs):
        """Start a bash script; its output goes to log/N, the number is returned as well."""
        self.number += 1
        self.served |= bool(re.search(r"\bubridge .*-H", script))
        log = self.path(f"log/{self.number}")
        with open(log, "wb") as out:
            process = subprocess.Popen(
                ["nsenter", "-t", str(self.holder.pid), "-m", "-n", "--", "bash", "-c",
                 'cd /tmp/work && eval "$1"', "bash", script],
                stdin=kwargs.pop("stdin", subprocess.DEVNULL), stdout=kwargs.pop("stdout", out),
                stderr=out, env=self.environment(), start_new_session=True, **kwargs)
        self.scripts.append(process)
        return process, log

    def sh(self, script, deadline=60):
        """Run a script, which must succeed; returns its output."""
        process, log = self.start(script)
        try:
            status = process.wait(deadline)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"{script}\nruns too long: {read(log)}") from None
        assert status == 0, f"{script}\nended with {status}: {read(log)[-3000:]}"
        return read(log)

    def pid(self):
        """The process that the documentation calls 4711, as a container has it."""
        if self.container is None:
            self.container = subprocess.Popen(["unshare", "-n", "sleep", "1000000"])
            wait_until(lambda: os.readlink(f"/proc/{self.container.pid}/ns/net") !=
                       os.readlink("/proc/self/ns/net"), what="the new namespace")
        return str(self.container.pid)

    def client(self):
        """A connection to the program that a script has started, or else to one of our own."""
        def connect():
            try:
                return Client(self.ns, PORT)
            except ConnectionRefusedError:
                return None
        if not self.served:
            self.start(f"exec ubridge -H {PORT}")
        return wait_until(connect, 10, "the control port")

    def close(self):
        """The end of all that was started; a program that reports something fails."""
        try:
            for process in self.scripts:
                try:
                    os.killpg(process.pid, signal.SIGTERM)
                except ProcessLookupError:
                    pass
            for process in self.scripts:
                wait_until(lambda group=process.pid: not group_lives(group), 20,
                           "the end of the programs")
            assert_no_report(self.path("log"))
        finally:
            for process in (*self.scripts, self.container, self.holder):
                if process is not None and process.poll() is None:
                    process.kill()
                    process.wait()
            self.holder.stdout.close()
            self.ns.close()


def group_lives(group):
    """Whether a process group has a member that is no zombie."""
    done = subprocess.run(["ps", "-o", "stat=", "--no-headers", "-A", "-o", "pgid="],
                          stdout=subprocess.PIPE, text=True, check=True)
    return any(fields[1] == str(group) and not fields[0].startswith("Z")
               for fields in map(str.split, done.stdout.splitlines()) if len(fields) == 2)


@pytest.fixture
def place(binary):
    made = Place(binary)
    yield made
    made.close()


# ---- running them

def exchanges(text, prompt):
    """[(what is entered, [what comes back])]"""
    result = []
    for line in text.splitlines():
        if line.startswith(prompt):
            result.append((line[len(prompt):], []))
        elif line:
            result[-1][1].append(line)
    return result


def compare(want, got, where):
    """Equal lines; "..." in @want stands for any number of them."""
    pattern = "".join(r"(?:.*\n)*" if line == "..." else re.escape(line) + "\n" for line in want)
    text = "".join(line + "\n" for line in got)
    assert re.fullmatch(pattern, text), f"{where}: got\n{text}printed is\n" + "\n".join(want)


class Telnet:
    """A dialogue through a program that a person would use."""
    def __init__(self, place, command):
        self.process, _ = place.start(f"exec {command}", stdin=subprocess.PIPE,
                                      stdout=subprocess.PIPE)

    def send(self, line):
        self.process.stdin.write(line.encode() + b"\n")
        self.process.stdin.flush()

    def line(self):
        """The next line of the server; what the program itself says is passed over."""
        for line in self.process.stdout:
            line = line.strip()
            if re.match(rb"\d{3}[ -]", line):
                return line
        raise AssertionError("the connection ended")

    def close(self):
        self.process.stdin.close()
        self.process.wait(10)
        self.process.stdout.close()


def run_dialogue(place, block):
    text = block.text
    if text.startswith("$ "):
        command, _, text = text[2:].partition("\n")
        place.client().close()
        client = Telnet(place, command)
    else:
        client = place.client()
    for line, want in exchanges(text, "> "):
        pid = place.pid() if re.search(rf"\b{CONTAINER}\b", line) else None
        client.send(re.sub(rf"\b{CONTAINER}\b", pid, line) if pid else line)
        got = []
        while not got or re.match(r"101 ", got[-1]):
            got.append(client.line().decode())
            assert got[-1], f"{block.where}: the connection ended after {line}"
        if pid:
            got = [re.sub(rf"\b{pid}\b", CONTAINER, reply) for reply in got]
        compare(want, got, f"{block.where}: {line}")
    client.close()


def run_console(place, block):
    for command, want in exchanges(block.text, "$ "):
        compare(want, place.sh(command).splitlines(), f"{block.where}: {command}")


def run_script(place, block):
    place.sh("set -eu -o pipefail\n" + block.text)


def run_ini(place, block):
    with open(place.path("work/ubridge.ini"), "w", encoding="utf-8") as file:
        file.write(block.text)
    # what follows in the section may want the ports: try it and leave
    sections = re.findall(r"^\[(.+)\]", block.text, re.M)
    assert sections, f"{block.where}: no section"
    process, log = place.start("exec ubridge")
    try:
        wait_until(lambda: process.poll() is not None or all(
            f"Destination NIO listener thread for {name.lower()} has started" in read(log)
            for name in sections), 10, f"{block.where}: the bridges\n{read(log)}")
    finally:
        process.terminate()
    assert process.wait(10) == 0, read(log)
    known = (r"uBridge version .*|Parsing .*|Creating .*|Opening .*|Starting packet capture .*|"
             r"UDP tunnel connecting .*|Ethernet interface .*|Capturing to file .*|Applying PCAP filter .*|.* listener thread for .*")
    odd = [line for line in read(log).splitlines() if not re.fullmatch(known, line)]
    assert not odd, f"{block.where}: {odd}"


RUN = {"ubridge": run_dialogue, "console": run_console, "sh": run_script, "ini": run_ini}


@pytest.mark.parametrize("section", [section for section in SECTIONS
                                     if any(block.kind in RUN for block in section.blocks)],
                         ids=lambda section: section.name)
def test_examples(section, place):
    for block in section.blocks:
        if block.kind in RUN:
            RUN[block.kind](place, block)


def test_build_instructions(place, patience):
    """Once is enough, so only for the program without instrumentation."""
    builds = [block for block in BLOCKS if block.kind == "sh build"]
    assert builds
    if patience > 1:
        return
    place.sh("rm /usr/local/bin/ubridge; tar -C /mnt/tree --exclude-vcs --exclude=./build "
             "--exclude=config.status --exclude=./Makefile --exclude=./config.h "
             "--exclude='*.[oa]' -cf - . | tar -xf -")
    for block in builds:
        place.sh("set -eu -o pipefail\n" + block.text, deadline=600)


def test_kinds_of_blocks():
    odd = [f"{block.where}: {block.kind!r}" for block in BLOCKS if block.kind not in KINDS]
    assert not odd, odd


def test_what_is_not_run_is_said():
    manual = [block for block in BLOCKS if block.kind == "sh manual"]
    assert len(manual) <= MANUAL_MAX, [block.where for block in manual]
    for block in manual:
        assert "Not run by the tests" in block.before, block.where


# ---- completeness

def test_links_lead_somewhere():
    for page in PAGES:
        text = re.sub(r"^```.*?^```", "", read(page), flags=re.M | re.S)
        for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", text):
            assert os.path.exists(os.path.join(os.path.dirname(page), target)), (page, target)


def test_readme_names_every_page():
    readme = read(f"{TOP}/README.md")
    for page in PAGES:
        name = os.path.relpath(page, TOP)
        assert name == "README.md" or f"({name})" in readme, name


def test_protocol_lists_the_commands(ub):
    """Exactly those of cmd_list, ours included, with their numbers of arguments."""
    text = read(f"{TOP}/docs/protocol.md")
    printed = {}
    for name, part in re.findall(r"^## Module (\w+)\n(.*?)(?=^## |\Z)", text, re.M | re.S):
        rows = re.findall(r"^\| `(\w+)[^`]*` \| (\d+)/(\d+) \|", part, re.M)
        printed[name] = {row[0]: row[1:] for row in rows}
        assert len(printed[name]) == len(rows), f"{name}: a command is listed twice"
    real = {}
    for module in ub.ok("hypervisor module_list"):
        rows = [re.fullmatch(r"(\w+) \(min/max args: (\d+)/(\d+)\)", line).groups()
                for kind in (module, f"{module}+")
                for line in ub.ok(f"hypervisor cmd_list {kind}")]
        real[module] = {row[0]: row[1:] for row in rows}
    assert printed == real


def test_protocol_lists_the_codes():
    source = re.search(r"enum reply_code \{(.*?)\}", read(f"{TOP}/src/ctl/request.h"), re.S)[1]
    real = set(re.findall(r"= (\d+)", source))
    part = re.search(r"^## Replies\n(.*?)^## ", read(f"{TOP}/docs/protocol.md"), re.M | re.S)[1]
    assert set(re.findall(r"^\| (\d{3}) \|", part, re.M)) == real


def final_replies():
    """(code, format) of all replies that the sources can give."""
    codes = dict(re.findall(r"(REPLY_\w+) = (\d+)", read(f"{TOP}/src/ctl/request.h")))
    for path in sorted(glob.glob(f"{TOP}/src/ctl/*.c")):
        for code, texts in re.findall(r'reply_final\(\s*\w+,\s*(\w+),\s*((?:"[^"]*"\s*)+)',
                                      read(path)):
            # some have a variable for the code
            yield codes.get(code, r"\d{3}"), "".join(re.findall(r'"([^"]*)"', texts))


def test_protocol_gives_the_words_of_replies():
    text = read(f"{TOP}/docs/protocol.md")
    missing = []
    for code, words in final_replies():
        pattern = re.sub(r"%z?[sud]", r"[^`|]+?", re.escape(words).replace(r"\%", "%"))
        if words != "%s" and not re.search(f"{code}-{pattern}", text):
            missing.append(f"{code}-{words}")
    assert not missing, missing


def help_options(run):
    """All options that -h tells of: {"-h", ..., "--file", ...}."""
    _, text, _ = run("-h")
    options = set(re.findall(r"(?<![\w-])(--?[A-Za-z][a-z-]*)", text.partition("Options:")[2]))
    assert {"-h", "-H", "--seed"} <= options
    return options


def test_manual_lists_the_options(run):
    text = read(f"{TOP}/man/ubridge.1")
    items = re.findall(r"^\.It (Fl .*)$", text, re.M)
    printed = {f"-{name}" for item in items for name in re.findall(r"\bFl (\S+)", item)}
    assert printed == help_options(run)


@pytest.mark.parametrize("manual", MANUALS, ids=lambda path: os.path.basename(str(path)))
def test_manuals_render(manual):
    done = subprocess.run(["man", "--warnings", "-l", manual], env=dict(os.environ, MANWIDTH="80",
                          LC_ALL="C.UTF-8"), stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert len(done.stdout) > 500
    if shutil.which("mandoc"):
        done = subprocess.run(["mandoc", "-T", "lint", "-W", "warning", manual], text=True,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
        assert (done.returncode, done.stdout) == (0, "")


def complete(*words):
    """What the completion offers for the last word of a command line."""
    script = ('. "$1"; shift; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); '
              '$(complete -p ubridge | sed "s/.*-F \\([^ ]*\\).*/\\1/") ubridge '
              '"${COMP_WORDS[COMP_CWORD]}" "${COMP_WORDS[COMP_CWORD-1]}"; '
              'printf "%s\\n" "${COMPREPLY[@]}"')
    done = subprocess.run(["bash", "-uc", script, "bash",
                           f"{TOP}/contrib/completion/ubridge.bash", "ubridge", *words],
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, check=True)
    assert done.stderr == ""
    return set(done.stdout.split())


def test_completion_offers_the_options(run):
    assert complete("-") == help_options(run)
    assert complete("--se") == {"--seed"}
    assert complete("-d", "") == {"0", "1", "2"}
    assert f"{TOP}/docs" in complete("-f", f"{TOP}/do")
    assert "127.0.0.1:4242" in complete("-H", "")


UNITS = sorted(glob.glob(f"{TOP}/contrib/systemd/*.service"))


@pytest.mark.parametrize("unit", UNITS, ids=lambda path: os.path.basename(str(path)))
def test_unit(place, unit):
    name = os.path.basename(unit).replace("@.", "@lab.")
    lines = [line for line in read(unit).splitlines() if line and line[0] not in "#;["]
    assert all(re.fullmatch(r"[A-Z]\w+=\S.*", line) for line in lines)
    settings = dict(line.split("=", 1) for line in lines)
    assert re.fullmatch(r"(\S*/)?kill -HUP \$MAINPID", settings["ExecReload"])
    assert settings["AmbientCapabilities"] == "CAP_NET_ADMIN CAP_NET_RAW"
    if shutil.which("systemd-analyze"):
        place.sh(f"cp '/mnt/tree/contrib/systemd/{os.path.basename(unit)}' {name}")
        assert place.sh(f"systemd-analyze verify --man=no ./{name}") == ""


def test_units_are_alike():
    """They differ in what belongs to an instance only."""
    def plain(unit):
        text = re.sub(r"^#.*\n", "", read(unit), flags=re.M)
        return text.replace("/etc/ubridge/%i.ini", "/etc/ubridge.ini").replace("ubridge/%i",
                                                                               "ubridge")\
            .replace(" (%i)", "")
    assert len(UNITS) == 2
    assert plain(UNITS[0]) == plain(UNITS[1])


def test_demonstration(binary, engine):
    """contrib/demo, with the program under test and the tests' own engine."""
    done = subprocess.run([f"{TOP}/contrib/demo"], env=dict(engine.environment, UBRIDGE=binary),
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stdout[-4000:]
    assert "traffic passed" in done.stdout

