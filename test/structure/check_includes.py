#!/usr/bin/env python3
"""Every #include of our own names a module that the including module declares (directly or through what it declares).

Together with the layer check of the configure step this makes the declared dependencies the real ones."""

import pathlib
import re
import sys

KEYWORDS = {"DEPS", "LIBS", "PROTOS", "TEST_DEPS", "TEST_LIBS", "TEST_PROTOS"}
# Sources of test programs, and the headers that only they include.
TEST_FILE = re.compile(r"(_(test|pgtest|etcdtest|e2e|bench|fuzz)\.(cc|h)|^testing\.h|^fake_\w+\.h)$")
INCLUDE = re.compile(r'^\s*#include "((?:tools|common|services|cmd)/[^"]+)"', re.M)
CALL = re.compile(r"multigres_(?:module|binary)\(([^)]*)\)", re.S)


def declared(text):
    groups = {"DEPS": [], "TEST_DEPS": []}
    match = CALL.search(text)
    if not match:
        return None
    current = None
    for word in match.group(1).split():
        if word in KEYWORDS:
            current = word
        elif current in groups:
            groups[current].append(word)
    return groups


def main(root):
    src = root / "src"
    modules = {}
    for lists in src.rglob("CMakeLists.txt"):
        groups = declared(lists.read_text())
        if groups is not None:
            modules[lists.parent.relative_to(src).as_posix()] = groups

    def closure(names):
        seen, todo = set(), list(names)
        while todo:
            name = todo.pop()
            if name in seen:
                continue
            seen.add(name)
            todo += modules.get(name, {"DEPS": []})["DEPS"]
        return seen

    failures = 0
    for name, groups in sorted(modules.items()):
        library = closure(groups["DEPS"]) | {name}
        tests = closure(groups["DEPS"] + groups["TEST_DEPS"]) | {name}
        for path in sorted((src / name).glob("*")):
            if path.suffix not in {".cc", ".h", ".inl"}:
                continue
            is_test = bool(TEST_FILE.search(path.name))
            for include in INCLUDE.findall(path.read_text()):
                target = include.rsplit("/", 1)[0]
                if target not in modules:
                    continue
                if target not in (tests if is_test else library):
                    print(f"{path.relative_to(root)}: includes {include}, but {name} does not declare {target}")
                    failures += 1
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main(pathlib.Path(sys.argv[1])))
