"""A real cluster under real clients, faults, and a checker. docs/chaos.md tells how to use it."""

import argparse
import itertools
import pathlib
import random
import shutil
import sys
import tempfile
import time

import psycopg

import host_faults
import postgres_faults
import report
import sandbox
import service_faults
from checker import fingerprints
from false_alarms import count_false_alarms
from multigres import MultigresCluster
from network import LoopbackNetwork, NamespaceNetwork, can_throttle
from patroni import PatroniCluster
from run import Result, run_fault

# After so many that didn't come back from a fault there is little to learn from a further one.
MAX_CLUSTERS = 6
FAULTS = {**postgres_faults.FAULTS, **service_faults.FAULTS, **host_faults.FAULTS}
GROUPS = {
    "all": list(FAULTS),
    # What the promises about time are made for.
    "measured": ["kill_postgres", "kill_postmaster", "kill_host", "cut_off_host", "freeze_postgres"],
    # Five minutes' worth, for `make test`.
    "short": ["kill_postgres", "freeze_postgres", "cut_off_host", "stale_leader_with_extra_wal", "kill_pooler", "kill_gateway", "kill_etcd",
              "kill_orch_at_work", "kill_host", "switch_primary", "partition_leader"],
}


def arguments():
    parser = argparse.ArgumentParser(prog="chaos", description=__doc__)
    parser.add_argument("--faults", default="all", help=f"names or groups ({', '.join(GROUPS)}), separated by commas; NAME:N for N runs")
    parser.add_argument("--runs", type=int, default=1, help="of each fault that comes without a number")
    parser.add_argument("--peer-runs", type=int, default=5, help="of each fault on Patroni")
    parser.add_argument("--duration", type=float, default=0, help="seconds: go on with faults at random until then")
    parser.add_argument("--budget", type=float, default=0, help="seconds: begin no further run after that")
    parser.add_argument("--system", choices=("multigres", "patroni", "both"), default="multigres")
    parser.add_argument("--seed", type=int, default=None, help="of what is chosen at random")
    parser.add_argument("--writers", type=int, default=8)
    parser.add_argument("--transactions", type=int, default=2, help="clients that write two rows in a transaction")
    parser.add_argument("--readers", type=int, default=3)
    parser.add_argument("--idle", type=int, default=12, help="sessions that say nothing")
    parser.add_argument("--pause-ms", type=float, default=0, help="of a writer between two statements")
    parser.add_argument("--statement-timeout", type=float, default=25, help="seconds after which a client gives up")
    parser.add_argument("--false-alarms", type=float, default=0, help="instead of faults: seconds of pgbench with 64 clients")
    parser.add_argument("--tolerate-alarms", action="store_true", help="a failover that no fault called for is printed, and no failure")
    parser.add_argument("--results", type=pathlib.Path, help="folder for JSON and Markdown")
    parser.add_argument("--root", default="/tmp", help="where the cluster's folder is made; a short path that others may enter")
    parser.add_argument("--keep", action="store_true", help="keep the cluster's folder")
    parser.add_argument("--list", action="store_true", help="say what there is, and end")
    return parser.parse_args()


def chosen(options, system, isolated):
    """The faults to run on that system, each as often as it shall be; says what is left out and why."""
    wanted = {}
    for word in options.faults.split(","):
        name, _, times = word.partition(":")
        if name not in FAULTS and name not in GROUPS or not (times or "1").isdigit():
            sys.exit(f"chaos: no fault or group {word}; --list shows them")
        for fault in GROUPS.get(name, [name]):
            wanted[fault] = max(wanted.get(fault, 0), int(times or options.runs))
    chosen_ones = {}
    for name, times in wanted.items():
        fault = FAULTS[name]
        reason = missing(fault, isolated)
        if system not in fault.systems:
            continue
        if reason:
            print(f"left out: {name} needs {reason}")
        else:
            chosen_ones[fault] = times if system == "multigres" else min(times, options.peer_runs)
    return chosen_ones


def missing(fault, isolated):
    if fault.needs in ("network", "throttle", "small-disks") and not isolated:
        return "namespaces"
    if fault.needs == "throttle" and not can_throttle():
        return "a kernel with sch_tbf"
    if fault.needs == "faketime" and not list(pathlib.Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1")):
        return "libfaketime"
    return None


class Session:
    """The runs on one cluster, one after the other."""

    def __init__(self, options, isolated, rng):
        self.options = options
        self.isolated = isolated
        self.rng = rng
        self.results = []
        self.began = time.monotonic()
        self.account = sandbox.service_account()

    def over(self):
        return self.options.budget and time.monotonic() - self.began > self.options.budget

    def cluster_for(self, system, work, small_disks):
        network = NamespaceNetwork(work) if self.isolated else LoopbackNetwork(work)
        if system == "patroni":
            return PatroniCluster(network, self.account)
        return MultigresCluster(network, self.account, small_disks)

    def run(self, system, faults, small_disks=False):
        """True if all went well. A cluster that doesn't come back is put aside for another one, a few times."""
        sequence = self._sequence(faults) if faults else iter(())
        fine = True
        for _ in range(MAX_CLUSTERS):
            fault = next(sequence, None)
            if fault is None:
                return fine
            fine &= self._run_on_one_cluster(system, itertools.chain([fault], sequence), small_disks)
        return False

    def _run_on_one_cluster(self, system, sequence, small_disks):
        work = pathlib.Path(tempfile.mkdtemp(prefix="chaos-", dir=self.options.root))
        work.chmod(0o755)
        cluster = self.cluster_for(system, work, small_disks)
        first = len(self.results)
        self.current = None
        try:
            print(f"{system}: a cluster in {work}{' on small disks' if small_disks else ''}", flush=True)
            cluster.start()
            self._run_all(cluster, sequence)
        except (AssertionError, OSError, RuntimeError, psycopg.Error) as error:
            fault = self.current or next(sequence)
            print(f"FAILED: {fault.name}: {error!r}", flush=True)
            result = Result(fault, system)
            result.violations.append(str(error) or repr(error))
            self.results.append(result)
        finally:
            fine = not any(result.violations for result in self.results[first:])
            cluster.close()
            cluster.network.close()
            self._put_away(work, fine, small_disks and cluster)
        return fine

    def _run_all(self, cluster, sequence):
        held = {}
        for number, fault in enumerate(sequence, start=1):
            self.current = fault
            result = run_fault(cluster, fault, number, self.options, self.rng)
            self.results.append(result)
            held.update(fingerprints(cluster, [number]))
            print(f"{cluster.system:9} {fault.name:40} first write {result.first_write_s * 1000:7.0f} ms  failovers {result.failovers}  "
                  f"settled {result.settled_s:5.1f} s  acknowledged {result.acknowledged:6}  {compact(result)}", flush=True)
            for violation in result.violations:
                print(f"    WRONG: {violation}", flush=True)
        if fingerprints(cluster, held) != held:
            raise AssertionError("LOST: what an earlier run had written is no longer what it was")

    def _sequence(self, faults):
        """In rounds, so that a budget that ends early has seen of everything."""
        for turn in range(max(faults.values())):
            for fault, times in faults.items():
                if self.over():
                    return
                if turn < times:
                    yield fault
        while time.monotonic() - self.began < self.options.duration:
            yield self.rng.choice(list(faults))

    def _put_away(self, work, fine, cluster_with_mounts):
        if fine and not self.options.keep:
            if cluster_with_mounts:
                cluster_with_mounts.unmount()
            shutil.rmtree(work, ignore_errors=True)
        else:
            print(f"logs and data: {work}", flush=True)


def compact(result):
    told = {name: number for name, number in result.counts.items() if number}
    return " ".join(f"{name}={number}" for name, number in told.items()) or "no errors"


def main(isolated):
    options = arguments()
    if options.list:
        for fault in FAULTS.values():
            print(f"{fault.name:44} {fault.expect:9} {fault.what}")
        return 0
    seed = options.seed if options.seed is not None else random.SystemRandom().randrange(1 << 32)
    print(f"seed {seed}", flush=True)
    session = Session(options, isolated, random.Random(seed))
    if options.false_alarms:
        return count_false_alarms(session, options.false_alarms)
    fine = True
    for system in ("multigres", "patroni") if options.system == "both" else (options.system,):
        faults = chosen(options, system, isolated)
        for small_disks in (False, True):
            fine &= session.run(system, {fault: times for fault, times in faults.items()
                                         if (fault.needs == "small-disks") == small_disks}, small_disks)
    print("\n" + report.table(session.results) + "\n")
    if options.results:
        print(f"{report.save(session.results, options.results, ' '.join(['chaos', *sys.argv[1:]]))}.md")
    return 0 if fine else 1


if __name__ == "__main__":
    sandbox.enter(main)
