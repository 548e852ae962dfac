"""Our own services and etcd killed, stopped, frozen and misled."""

import pathlib
import signal
import time

from fault import Catalogue
from patience import wait_until

FAULTS = Catalogue()
# Longer than any grace, so that whoever has to act has acted.
LONG_S = 6.0


# --- services of the leader's cell

@FAULTS.add(expect="none")
def kill_pooler(ctx):
    """kill -9 of the leader's pooler, which is back within its grace."""
    ctx.strike()
    ctx.cluster.supervisor.kill(ctx.leader.pooler)


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


@FAULTS.add(expect="failover")
def kill_pooler_and_postgres(ctx):
    """kill -9 of the leader's pooler and of its PostgreSQL."""
    ctx.strike()
    ctx.cluster.supervisor.kill(ctx.leader.pooler)
    ctx.leader.postgres.kill_all()


@FAULTS.add(expect="none")
def kill_pgctld(ctx):
    """kill -9 of the leader's pgctld."""
    ctx.strike()
    ctx.cluster.supervisor.kill(ctx.leader.pgctld)


@FAULTS.add(expect="failover")
def kill_pgctld_and_postgres(ctx):
    """kill -9 of the leader's pgctld and of its PostgreSQL."""
    ctx.strike()
    ctx.cluster.supervisor.kill(ctx.leader.pgctld)
    ctx.leader.postgres.kill_all()


@FAULTS.add(expect="none")
def freeze_pgctld(ctx):
    """SIGSTOP of the leader's pgctld for some seconds."""
    _freeze_for(ctx, ctx.leader.pgctld, LONG_S)


@FAULTS.add(expect="none")
def stop_pgctld(ctx):
    """SIGTERM of the leader's pgctld."""
    ctx.strike()
    ctx.cluster.supervisor.kill(ctx.leader.pgctld, signal.SIGTERM)


@FAULTS.add(expect="none")
def kill_gateway(ctx):
    """kill -9 of a gateway: its sessions end, nobody else notices."""
    ctx.lose_gateway(ctx.leader)
    ctx.strike()
    ctx.cluster.supervisor.kill(ctx.leader.gateway)


@FAULTS.add(expect="none")
def stop_gateway(ctx):
    """SIGTERM of a gateway: its sessions end in order."""
    ctx.lose_gateway(ctx.leader)
    ctx.strike()
    ctx.cluster.supervisor.kill(ctx.leader.gateway, signal.SIGTERM)


@FAULTS.add(expect="none")
def freeze_gateway(ctx):
    """SIGSTOP of a gateway for some seconds: its clients wait, and go on."""
    _freeze_for(ctx, ctx.leader.gateway, 3)


# --- who decides and where it is written down

@FAULTS.add(expect="none")
def kill_orch(ctx):
    """kill -9 of the first orchestrator."""
    ctx.strike()
    ctx.cluster.supervisor.kill(ctx.cluster.cells[0].orch)


@FAULTS.add(expect="none")
def kill_every_orch(ctx):
    """All orchestrators dead for some seconds: changes stop, traffic doesn't."""
    ctx.strike()
    for cell in ctx.cluster.cells:
        ctx.cluster.supervisor.kill(cell.orch, hold=True)
    time.sleep(3)
    for cell in ctx.cluster.cells:
        ctx.cluster.supervisor.start(cell.orch)


@FAULTS.add(expect="none")
def freeze_orch(ctx):
    """SIGSTOP of the first orchestrator for some seconds."""
    _freeze_for(ctx, ctx.cluster.cells[0].orch, LONG_S)


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


@FAULTS.add(expect="none")
def kill_etcd(ctx):
    """kill -9 of etcd, which is back soon."""
    ctx.strike()
    ctx.cluster.supervisor.kill(ctx.cluster.etcd)


@FAULTS.add(expect="none")
def freeze_etcd(ctx):
    """SIGSTOP of etcd for some seconds."""
    _freeze_for(ctx, ctx.cluster.etcd, LONG_S)


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
def kill_multiadmin(ctx):
    """kill -9 of multiadmin."""
    ctx.strike()
    ctx.cluster.supervisor.kill(ctx.cluster.admin)


@FAULTS.add(expect="none")
def freeze_multiadmin(ctx):
    """SIGSTOP of multiadmin for some seconds."""
    _freeze_for(ctx, ctx.cluster.admin, 3)


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


# --- helpers

def _freeze_for(ctx, service, seconds):
    ctx.strike()
    ctx.cluster.supervisor.kill(service, signal.SIGSTOP)
    time.sleep(seconds)
    ctx.cluster.supervisor.kill(service, signal.SIGCONT)


def _restart_with(ctx, service, **faked):
    for name in ("FAKETIME", "LD_PRELOAD", "FAKETIME_DONT_FAKE_MONOTONIC"):
        service.environment.pop(name, None)
    if faked:
        library = next(pathlib.Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"))
        service.environment.update(faked, LD_PRELOAD=str(library), FAKETIME_DONT_FAKE_MONOTONIC="1")
    ctx.cluster.supervisor.kill(service, hold=True)
    wait_until(lambda: not service.alive, 10, f"the end of {service.name}")
    ctx.cluster.supervisor.start(service)
