"""Our own services and etcd killed, stopped, frozen and misled."""

import pathlib
import signal
import time

from fault import Catalogue
from patience import wait_until

FAULTS = Catalogue()
# Longer than any grace, so that whoever has to act has acted.
LONG_S = 6.0


# --- one signal to one service: nobody's writes wait for that

SERVICES = {
    "pooler": lambda ctx: ctx.leader.pooler,
    "pgctld": lambda ctx: ctx.leader.pgctld,
    "gateway": lambda ctx: ctx.leader.gateway,
    "orch": lambda ctx: ctx.cluster.cells[0].orch,
    "etcd": lambda ctx: ctx.cluster.etcd,
    "multiadmin": lambda ctx: ctx.cluster.admin,
}

# The fault's first word names the signal, its second the service. What is frozen goes on after so many seconds.
SIGNALS = {"kill": signal.SIGKILL, "stop": signal.SIGTERM, "freeze": signal.SIGSTOP}
SIGNALLED = (
    ("kill_pooler", 0, "kill -9 of the leader's pooler, which is back within its grace."),
    ("kill_pgctld", 0, "kill -9 of the leader's pgctld."),
    ("stop_pgctld", 0, "SIGTERM of the leader's pgctld."),
    ("freeze_pgctld", LONG_S, "SIGSTOP of the leader's pgctld for some seconds."),
    ("kill_gateway", 0, "kill -9 of a gateway: its sessions end, nobody else notices."),
    ("stop_gateway", 0, "SIGTERM of a gateway: its sessions end in order."),
    ("freeze_gateway", 3, "SIGSTOP of a gateway for some seconds: its clients wait, and go on."),
    ("kill_orch", 0, "kill -9 of the first orchestrator."),
    ("freeze_orch", LONG_S, "SIGSTOP of the first orchestrator for some seconds."),
    ("kill_etcd", 0, "kill -9 of etcd, which is back soon."),
    ("freeze_etcd", LONG_S, "SIGSTOP of etcd for some seconds."),
    ("kill_multiadmin", 0, "kill -9 of multiadmin."),
    ("freeze_multiadmin", 3, "SIGSTOP of multiadmin for some seconds."),
)


def _signalled(name, frozen_s):
    verb, kind = name.split("_")

    def action(ctx):
        service = SERVICES[kind](ctx)
        if kind == "gateway" and verb != "freeze":
            ctx.lose_gateway(ctx.leader)
        ctx.strike()
        ctx.cluster.supervisor.kill(service, SIGNALS[verb])
        if verb == "freeze":
            time.sleep(frozen_s)
            ctx.cluster.supervisor.kill(service, signal.SIGCONT)
    return action


for _name, _frozen_s, _what in SIGNALLED:
    FAULTS.add(_name, _what, expect="none")(_signalled(_name, _frozen_s))


# --- services of the leader's cell

def _kill_with_postgres(kind):
    def action(ctx):
        ctx.strike()
        ctx.cluster.supervisor.kill(SERVICES[kind](ctx))
        ctx.leader.postgres.kill_all()
    return action


for _kind in ("pooler", "pgctld"):
    FAULTS.add(f"kill_{_kind}_and_postgres", f"kill -9 of the leader's {_kind} and of its PostgreSQL.",
               expect="failover")(_kill_with_postgres(_kind))


@FAULTS.add(expect="failover")
def lose_pooler(ctx):
    """kill -9 of the leader's pooler, which stays away until another leads."""
    ctx.strike()
    ctx.cluster.supervisor.kill(ctx.leader.pooler, hold=True)
    ctx.wait_for_writes()
    ctx.cluster.supervisor.start(ctx.leader.pooler)


@FAULTS.add(expect="failover")
def freeze_pooler(ctx):
    """SIGSTOP of the leader's pooler until another leads."""
    ctx.strike()
    ctx.cluster.supervisor.kill(ctx.leader.pooler, signal.SIGSTOP)
    ctx.wait_for_writes()
    ctx.cluster.supervisor.kill(ctx.leader.pooler, signal.SIGCONT)


@FAULTS.add(expect="any")
def stop_pooler(ctx):
    """SIGTERM of the leader's pooler: it leaves in order."""
    pid = ctx.leader.pooler.pid
    ctx.strike()
    ctx.cluster.supervisor.kill(ctx.leader.pooler, signal.SIGTERM)
    wait_until(lambda: ctx.leader.pooler.pid != pid, 20, "the end of a pooler that was told to go")


# --- who decides and where it is written down

@FAULTS.add(expect="none")
def kill_every_orch(ctx):
    """All orchestrators dead for some seconds: changes stop, traffic doesn't."""
    ctx.strike()
    for cell in ctx.cluster.cells:
        ctx.cluster.supervisor.kill(cell.orch, hold=True)
    time.sleep(3)
    for cell in ctx.cluster.cells:
        ctx.cluster.supervisor.start(cell.orch)


@FAULTS.add(expect="failover")
def kill_orch_at_work(ctx):
    """kill -9 of the leader's PostgreSQL, and of every orchestrator a moment later, somewhere within the appointment."""
    ctx.strike()
    ctx.leader.postgres.kill_all()
    time.sleep(ctx.rng.uniform(0.02, 0.5))
    for cell in ctx.cluster.cells:
        ctx.cluster.supervisor.kill(cell.orch)


@FAULTS.add(expect="failover")
def freeze_orch_at_work(ctx):
    """kill -9 of the leader's PostgreSQL, and SIGSTOP of the first orchestrator within the appointment, SIGCONT after it."""
    orch = ctx.cluster.cells[0].orch
    ctx.strike()
    ctx.leader.postgres.kill_all()
    time.sleep(ctx.rng.uniform(0.02, 0.5))
    ctx.cluster.supervisor.kill(orch, signal.SIGSTOP)
    ctx.wait_for_writes()
    time.sleep(1)
    ctx.cluster.supervisor.kill(orch, signal.SIGCONT)


@FAULTS.add(expect="failover", needs="faketime")
def skew_orchs(ctx):
    """The first orchestrator's clock is an hour ahead, the second's an hour behind, and the leader's PostgreSQL is killed."""
    first, second, _ = (cell.orch for cell in ctx.cluster.cells)
    _restart_with(ctx, first, FAKETIME="+3600s")
    _restart_with(ctx, second, FAKETIME="-3600s")
    time.sleep(2)
    ctx.strike()
    ctx.leader.postgres.kill_all()
    ctx.wait_for_writes()
    for service in (first, second):
        _restart_with(ctx, service)


@FAULTS.add(expect="failover")
def kill_postgres_without_etcd(ctx):
    """etcd is down when the leader's PostgreSQL is killed, and stays down until another leads."""
    ctx.cluster.supervisor.kill(ctx.cluster.etcd, hold=True)
    time.sleep(1)
    ctx.strike()
    ctx.leader.postgres.kill_all()
    ctx.wait_for_writes()
    ctx.cluster.supervisor.start(ctx.cluster.etcd)


@FAULTS.add(expect="none", settle_s=120)
def wipe_etcd(ctx):
    """etcd loses all it knew; an operator writes cells and database again; then every record is there again."""
    ctx.strike()
    ctx.cluster.wipe_etcd()

    def published():
        records = ctx.cluster.records()
        if set(records.values()) != {3}:
            raise AssertionError(records)
        return True
    wait_until(published, 90, "every record published again")


@FAULTS.add(expect="none")
def stop_control(ctx):
    """SIGTERM of every orchestrator, of etcd and of multiadmin: a restart of all that isn't on the path of a query."""
    ctx.strike()
    for service in (*(cell.orch for cell in ctx.cluster.cells), ctx.cluster.etcd, ctx.cluster.admin):
        ctx.cluster.supervisor.kill(service, signal.SIGTERM)


@FAULTS.add(expect="failover", no_errors=True)
def switch_primary(ctx):
    """SwitchPrimary under load: no client may notice more than a pause."""
    before = ctx.cluster.promotions()
    ctx.strike()
    ctx.cluster.switch_primary()
    wait_until(lambda: ctx.cluster.promotions() > before, 30, "a new appointment")


def _restart_with(ctx, service, **faked):
    for name in ("FAKETIME", "LD_PRELOAD", "FAKETIME_DONT_FAKE_MONOTONIC"):
        service.environment.pop(name, None)
    if faked:
        library = next(pathlib.Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"))
        service.environment.update(faked, LD_PRELOAD=str(library), FAKETIME_DONT_FAKE_MONOTONIC="1")
    ctx.cluster.supervisor.kill(service, hold=True)
    wait_until(lambda: not service.alive, 10, f"the end of {service.name}")
    ctx.cluster.supervisor.start(service)
