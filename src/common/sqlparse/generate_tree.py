#!/usr/bin/env python3
"""Turns libpg_query's pg_query.proto into a C++ header: the field numbers of every message, and for each message which
of its fields are messages, so that a parse tree can be walked on its wire form. Run by the build."""

import re
import sys


def main(source, target):
    text = open(source, encoding="utf-8").read()
    messages = {}
    order = []
    for name, body in re.findall(r"^message (\w+)\s*\{(.*?)^\}", text, re.M | re.S):
        fields = []
        for repeated, kind, field, number in re.findall(r"^\s*(repeated )?(\w+) (\w+) = (\d+)\s*(?:\[.*?\])?;", body, re.M):
            fields.append((kind, field, int(number)))
        messages[name] = fields
        order.append(name)
    index = {name: i for i, name in enumerate(order)}
    enums = re.findall(r"^enum (\w+)\s*\{(.*?)^\}", text, re.M | re.S)

    out = ["// Generated from pg_query.proto by generate_tree.py.", "#pragma once", "", "#include <array>", "#include <cstdint>",
           "#include <span>", "", "namespace multigres::sqlparse::tree {", "", "enum class Type : std::uint16_t {"]
    out += [f"  {name}," for name in order]
    out += ["};", f"inline constexpr std::size_t kTypeCount = {len(order)};", ""]
    for name in order:
        if not messages[name]:
            continue
        out.append(f"namespace {name}_ {{")
        out += [f"inline constexpr int k_{field} = {number};" for _, field, number in messages[name]]
        out.append("}")
    for name, body in enums:
        out.append(f"namespace {name} {{")
        for value, number in re.findall(r"^\s*(\w+) = (\d+);", body, re.M):
            out.append(f"inline constexpr int k{value} = {number};")
        out.append("}")
    out += ["", "struct Link {", "  std::uint16_t field;", "  Type type;", "};", ""]
    out.append("// The fields of each message that are messages themselves.")
    for name in order:
        links = [f"{{{number}, Type::{kind}}}" for kind, _, number in messages[name] if kind in index]
        if links:
            out.append(f"inline constexpr Link kLinksOf{name}[] = {{{', '.join(links)}}};")
    out += ["", "inline std::span<const Link> LinksOf(Type type) {", "  switch (type) {"]
    for name in order:
        if any(kind in index for kind, _, _ in messages[name]):
            out.append(f"    case Type::{name}: return kLinksOf{name};")
    out += ["    default: return {};", "  }", "}", "", "}  // namespace multigres::sqlparse::tree", ""]
    open(target, "w", encoding="utf-8").write("\n".join(out))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
