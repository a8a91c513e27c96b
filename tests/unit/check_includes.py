#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which part of the program may include which, and where the headers of libraries may stand.

    main -> ctl, conf -> attach -> core -> nio, filter, capture -> pkt -> base
    ctl, conf, attach -> docker, net -> base

Nothing below ctl and conf knows a connection or a reply, because it cannot include one.
"""
import os
import re
import sys

CORE = {"core", "nio", "filter", "capture", "pkt", "base"}

# folder of src: folders whose headers it may include, besides its own
ALLOWED = {
    "base": set(),
    "pkt": {"base"},
    "nio": {"pkt", "base"},
    "filter": {"pkt", "base"},
    "capture": {"filter", "pkt", "base"},
    "core": CORE,
    "net": {"base"},
    "docker": {"net", "base"},
    "attach": CORE | {"docker", "net"},
    "ctl": CORE | {"attach", "docker", "net"},
    "conf": CORE | {"attach", "docker", "net"},
    "main.c": CORE | {"ctl", "conf", "attach", "docker", "net"},
}

# pattern of headers: the only files that may include them
LIBRARIES = {
    r"pcap(/|\.h)": {"nio/nio_ethernet.c", "filter/bpf.c", "filter/linktype.c",
                     "capture/capture.c"},
    r"netlink/": {"net/*.c"},
    r"curl/": {"docker/libcurl.h"},
    r"jansson\.h": {"docker/*.c"},
    r"(iniparser/)?(iniparser|dictionary)\.h": {"conf/ini_file.c"},
}

INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]*([<"])([^>"]+)[>"]', re.M)


def is_in(name, patterns):
    return name in patterns or re.sub(r"/[^/]*\.c$", "/*.c", name) in patterns


def check_ours(name, header, src):
    """Our own header: is it there, and may this file have it?"""
    folder, target = name.split("/")[0], header.split("/")[0]
    if not os.path.exists(os.path.join(src, header)):
        return f"{header} does not exist (paths begin at src)"
    if target == folder or target in ALLOWED[folder]:
        return None
    return f"{folder} may not include {target}"


def check_library(name, header):
    for pattern, files in LIBRARIES.items():
        if re.match(pattern, header) and not is_in(name, files):
            return f"only {', '.join(sorted(files))} may include <{header}>"
    return None


def check_order(name, text):
    """Configuration first, then the own header, which so proves to stand alone."""
    found = INCLUDE.findall(text)
    if not name.endswith(".c") or not found:
        return None
    if found[0] != ("<", "config.h"):
        return "the first include must be <config.h>"
    own = name[:-2] + ".h"
    names = [header for _, header in found]
    if own in names and names.index(own) != 1:
        return f'"{own}" must come right behind <config.h>'
    return None


def check_file(src, name):
    with open(os.path.join(src, name), encoding="utf-8") as file:
        text = file.read()
    if name.split("/")[0] not in ALLOWED:
        return [f"src/{name}: no rule for this folder, see ALLOWED"]
    problems = [check_order(name, text)]
    for kind, header in INCLUDE.findall(text):
        problems.append(check_ours(name, header, src) if kind == '"'
                        else check_library(name, header))
    return [f"src/{name}: {problem}" for problem in problems if problem]


def check_tree(src):
    problems, count = [], 0
    for folder, _, files in os.walk(src):
        for file in sorted(files):
            if file.endswith((".c", ".h")):
                count += 1
                path = os.path.relpath(os.path.join(folder, file), src)
                problems += check_file(src, path)
    if not count:
        problems.append(f"no sources in {src}")
    return problems


def main():
    top = os.environ.get("srcdir", os.path.join(os.path.dirname(__file__), "../.."))
    problems = check_tree(os.path.join(top, "src"))
    print("\n".join(problems))
    return bool(problems)


if __name__ == "__main__":
    sys.exit(main())
