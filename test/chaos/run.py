"""One run: clients at work, one fault, recovery, and what the clients and the servers say afterwards."""

import json
import pathlib
import shutil
import struct
import subprocess
import sys
import time

from checker import check
from patience import wait_until

WARM_UP_S = 1.0
COOL_DOWN_S = 0.5


class LoadProcess:
    """load.py on the clients' host, for one run."""

    def __init__(self, cluster, number, options):
        folder = cluster.clients.folder
        self.prefix = str(folder / f"run{number}")
        config = {"run": number, "targets": cluster.targets, "only_primary": cluster.system != "multigres",
                  "writers": options.writers, "transactions": options.transactions, "readers": options.readers,
                  "idle": options.idle, "pause": options.pause_ms / 1000,
                  "connect_timeout": 5.0 if cluster.system == "multigres" else 0.5, "statement_timeout": options.statement_timeout}
        pathlib.Path(self.prefix + ".config").write_text(json.dumps(config))
        # The services' user can't always read where we come from.
        sources = cluster.network.work / "chaos-load"
        if not sources.exists():
            here = pathlib.Path(__file__).parent
            for name in ("chaos", "e2e"):
                (sources / name).mkdir(parents=True)
            for source in (here / "load.py", here / "client.py", here.parent / "e2e" / "wire.py"):
                shutil.copy(source, sources / source.parent.name)
        self.log = open(self.prefix + ".log", "wb")
        argv = [sys.executable, "-B", sources / "chaos" / "load.py", self.prefix + ".config", self.prefix]
        self.process = subprocess.Popen(cluster.clients.command(argv, None), stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        stderr=self.log, text=True)
        if self.process.stdout.readline().strip() != "ready":
            raise AssertionError(f"the load didn't start, see {self.prefix}.log")
        self.shared = open(self.prefix + ".progress", "rb", buffering=0)

    def progress(self):
        """(writes acknowledged, when the last of them was sent, when acknowledged)"""
        return struct.unpack("=Qdd", self.shared.read() if self.shared.seek(0) == 0 else b"")

    def finish(self, patience):
        try:
            self.process.communicate("", timeout=patience)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise AssertionError("the load didn't end") from None
        if self.process.returncode != 0:
            raise AssertionError(f"the load failed, see {self.prefix}.log")
        result = json.loads(pathlib.Path(self.prefix + ".json").read_text())
        data = pathlib.Path(self.prefix + ".acks").read_bytes()
        result["acks"] = list(struct.iter_unpack("=dd", data))
        return result

    def close(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        self.log.close()
        for suffix in (".acks", ".progress"):
            pathlib.Path(self.prefix + suffix).unlink(missing_ok=True)


class Context:
    """What a fault works with."""

    def __init__(self, cluster, load, run, rng):
        self.cluster = cluster
        self.run = run
        self.network = cluster.network
        self.load = load
        self.rng = rng
        self.leader = cluster.leader()
        self.followers = [cell for cell in cluster.cells if cell is not self.leader]
        self.struck_at = None
        self.violations = []
        self.exempt = set()  # addresses of gateways that took their sessions with them
        self.alone = 0

    def strike(self):
        """Now it begins: what follows is timed from here."""
        self.struck_at = time.monotonic()

    def wait_for_writes(self, timeout=60, since=None):
        """Until a write that was sent after `since` (else from now on: what was struck is struck) is acknowledged."""
        since = since or time.monotonic()

        def resumed():
            _, sent, _ = self.load.progress()
            return sent > since
        wait_until(resumed, timeout, "a new write", interval=0.01)

    def expect_no_writes(self, seconds):
        before = self.load.progress()[0]
        time.sleep(seconds)
        if self.load.progress()[0] != before:
            self.violations.append(f"{self.load.progress()[0] - before} writes acknowledged without a quorum")

    def write_alone(self):
        """A row that the leader has in its WAL and nobody else ever gets (it must be cut off)."""
        self.alone += 1
        with self.leader.postgres.connect() as connection:
            connection.execute("SET synchronous_commit = local")
            connection.execute("INSERT INTO chaos_writes (run, writer, seq) VALUES (-%s, -1, %s)", (self.run, self.alone))

    def expect_gone(self):
        """What was written alone, once its writer follows again."""
        self.cluster.settle(120)
        for cell in self.cluster.cells:
            if cell.postgres.value("SELECT count(*) FROM chaos_writes WHERE run = -%s", (self.run,)):
                self.violations.append(f"GHOST: {cell.name} still has what only the old leader had")

    def lose_gateway(self, cell):
        self.exempt.add(cell.host.address)


class Result:
    """What one run has shown."""

    def __init__(self, fault, system):
        self.fault = fault
        self.system = system
        self.violations = []
        self.failovers = 0
        self.first_write_s = None
        self.slowest_writer_s = None
        self.settled_s = None
        self.counts = {}
        self.error_kinds = {}
        self.acknowledged = 0

    def as_dict(self):
        return dict(vars(self), fault=self.fault.name)


def longest_silence(acks, start):
    """From the strike on: the longest time without a write acknowledged. (What was acknowledged just after the strike, still by
    the old leader, doesn't shorten it.)"""
    times = sorted(done for _, done in acks)
    last, longest = start, 0.0
    for done in times:
        if done > start:
            longest = max(longest, done - last)
            last = done
    return longest


def run_fault(cluster, fault, number, options, rng):
    """Raises AssertionError if the cluster doesn't come back; other wrongs are in the result's violations."""
    result = Result(fault, cluster.system)
    cluster.supervisor.forgive()
    promotions = cluster.promotions()
    load = LoadProcess(cluster, number, options)
    try:
        context = Context(cluster, load, number, rng)
        wait_until(lambda: load.progress()[0] >= 20, 20, "the first writes")
        time.sleep(WARM_UP_S)
        fault.action(context)
        context.wait_for_writes(fault.patience_s)
        cluster.network.heal()
        cluster.settle(fault.settle_s)
        result.settled_s = time.monotonic() - context.struck_at
        time.sleep(COOL_DOWN_S)
        outcome = load.finish(options.statement_timeout + 30)
    finally:
        cluster.network.heal()
        load.close()
    result.failovers = cluster.promotions() - promotions
    measure(result, outcome, context)
    expect(result, fault, outcome, context)
    if options.tolerate_alarms:
        result.violations = [line for line in result.violations if "needless" not in line]
    result.violations += context.violations
    result.violations += check(cluster, number, outcome)
    return result


def measure(result, outcome, context):
    start = context.struck_at
    result.acknowledged = len(outcome["acks"])
    result.first_write_s = longest_silence(outcome["acks"], start)
    result.slowest_writer_s = max(writer["longest_wait"] for writer in outcome["writers"])
    kinds = {}
    counts = {"refused": 0, "unknown": 0, "read_errors": 0, "transactions": 0, "sessions_lost": 0, "idle_lost": 0, "stale_reads": 0}
    for client in (*outcome["writers"], *outcome["readers"]):
        for kind, number in client["errors"].items():
            kinds[kind] = kinds.get(kind, 0) + number
        for when, verdict, kind, _, _ in client["failures"]:
            if when < start:
                context.violations.append(f"an error before the fault: {kind}")
            if client.get("transactional"):
                counts["transactions"] += 1
            elif "reader" in client:
                counts["read_errors"] += 1
            else:
                counts[verdict] += 1
            if kind in ("connection lost", "client timeout"):
                counts["sessions_lost"] += 1
    counts["stale_reads"] = sum(len(reader["stale"]) for reader in outcome["readers"])
    counts["idle_lost"] = sum(verdict != "alive" for address, verdict in outcome["idle"] if address not in context.exempt)
    result.counts, result.error_kinds = counts, kinds


def expect(result, fault, outcome, context):
    """What the fault's line of the table of scenarios says."""
    if fault.expect == "failover" and result.failovers == 0:
        result.violations.append("no failover")
    if fault.expect == "none" and result.failovers > 0:
        result.violations.append(f"{result.failovers} needless failovers")
    if fault.no_errors:
        told = {kind: n for kind, n in result.error_kinds.items() if "before COMMIT" not in kind}
        if told:
            result.violations.append(f"errors told to clients: {told}")
    for address, verdict in outcome["idle"]:
        if verdict != "alive" and address not in context.exempt and result.system == "multigres":
            result.violations.append(f"an idle session at {address}: {verdict}")
    hung = [address for client in (*outcome["writers"], *outcome["readers"]) for _, _, kind, _, address in client["failures"]
            if kind == "client timeout" and address not in context.exempt]
    if hung and not fault.cuts_off_clients and result.system == "multigres":
        result.violations.append(f"{len(hung)} statements hung until their clients gave up, at {sorted(set(hung))}")
    if result.counts["stale_reads"] and not fault.cuts_off_clients and result.system == "multigres":
        result.violations.append(f"{result.counts['stale_reads']} reads of the past: "
                                 f"{[reader['stale'][:2] for reader in outcome['readers'] if reader['stale']]}")
