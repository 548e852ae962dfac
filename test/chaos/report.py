"""What the runs have shown, as a table, as Markdown and as JSON."""

import collections
import json
import math
import os
import pathlib
import platform
import time

COLUMNS = ("system", "fault", "runs", "failovers", "p50 ms", "p99 ms", "max ms", "all back ms", "settled s", "refused", "reads failed",
           "unknown", "transactions", "sessions", "idle", "acknowledged", "wrong")
LEGEND = """Times are the client's: *p50, p99, max* of the longest time after the fault in which nobody had a write acknowledged; *all back*: the
longest wait of any one client for one write (p99); *settled*: until three members streamed again (median). Errors, summed over the runs:
*refused*: autocommit statements that failed although they had not run, and so could have been run again for the client (target 0);
*reads failed*: single reads that failed; *unknown*: autocommit writes in flight whose outcome the client can't know; *transactions*
that failed; *sessions* of working clients and *idle* ones that were lost. *wrong*: acknowledged writes lost, writes twice, ghosts, half
transactions, reads of the past, rules or histories that contradict each other, expectations not met."""


def percentile(values, share):
    """By nearest rank."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)] if ordered else float("nan")


def rows(results):
    grouped = collections.OrderedDict()
    for result in results:
        grouped.setdefault((result.system, result.fault.name), []).append(result)
    for (system, fault), runs in grouped.items():
        def total(name, runs=runs):
            return sum(run.counts.get(name, 0) for run in runs)
        first = [run.first_write_s * 1000 for run in runs if run.first_write_s is not None]
        slowest = [run.slowest_writer_s * 1000 for run in runs if run.slowest_writer_s is not None]
        settled = [run.settled_s for run in runs if run.settled_s is not None]
        yield (system, fault, len(runs), sum(run.failovers for run in runs), f"{percentile(first, .5):.0f}", f"{percentile(first, .99):.0f}",
               f"{max(first, default=float('nan')):.0f}", f"{percentile(slowest, .99):.0f}", f"{percentile(settled, .5):.1f}",
               total("refused"), total("read_errors"), total("unknown"), total("transactions"), total("sessions_lost"),
               total("idle_lost"), sum(run.acknowledged for run in runs), sum(len(run.violations) for run in runs))


def table(results):
    cells = [COLUMNS, *([str(cell) for cell in row] for row in rows(results))]
    widths = [max(len(row[i]) for row in cells) for i in range(len(COLUMNS))]
    return "\n".join("  ".join(cell.ljust(width) if i < 2 else cell.rjust(width) for i, (cell, width) in enumerate(zip(row, widths)))
                     for row in cells)


def machine():
    model = next((line.split(":", 1)[1].strip() for line in pathlib.Path("/proc/cpuinfo").read_text().splitlines()
                  if line.startswith("model name")), platform.machine())
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") >> 30
    return f"{os.cpu_count()} x {model}, {memory} GB, Linux {platform.release()}, {time.strftime('%Y-%m-%d')}"


def markdown(results, invocation):
    lines = ["# Chaos", "", f"`{invocation}` on {machine()}", "", "| " + " | ".join(COLUMNS) + " |", "|" + "-|" * len(COLUMNS)]
    lines += ["| " + " | ".join(str(cell) for cell in row) + " |" for row in rows(results)]
    lines += ["", LEGEND, ""]
    for result in results:
        lines += [f"- {result.system} {result.fault.name}: {violation}" for violation in result.violations]
    kinds = collections.Counter()
    for result in results:
        for kind, number in result.error_kinds.items():
            kinds[result.system, result.fault.name, kind] += number
    lines += ["", "| system | fault | error | times |", "|-|-|-|-|"]
    lines += [f"| {system} | {fault} | {kind} | {number} |" for (system, fault, kind), number in kinds.items()]
    return "\n".join(lines) + "\n"


def save(results, folder, invocation):
    folder.mkdir(parents=True, exist_ok=True)
    stem = folder / time.strftime("%Y%m%d-%H%M%S")
    stem.with_suffix(".json").write_text(json.dumps(
        {"invocation": invocation, "machine": machine(), "runs": [result.as_dict() for result in results]}, indent=1))
    stem.with_suffix(".md").write_text(markdown(results, invocation))
    return stem
