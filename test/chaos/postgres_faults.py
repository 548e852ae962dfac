"""PostgreSQL killed, stopped and frozen: the leader's and the followers'."""

import os
import pathlib
import signal
import time

from fault import Catalogue
from patience import wait_until

FAULTS = Catalogue()
BOTH = ("multigres", "patroni")
# Longer than any grace, so that whoever has to act has acted.
LONG_S = 6.0


# --- PostgreSQL of the leader

@FAULTS.add(expect="failover", systems=BOTH)
def kill_postgres(ctx):
    """kill -9 of the leader's postmaster and all its children."""
    ctx.strike()
    ctx.leader.postgres.kill_all()


@FAULTS.add(expect="failover", systems=BOTH)
def kill_postmaster(ctx):
    """kill -9 of the leader's postmaster alone: its children go when they notice."""
    ctx.strike()
    ctx.leader.postgres.kill_postmaster()


@FAULTS.add(expect="failover")
def kill_backend(ctx):
    """kill -9 of one backend of the leader: PostgreSQL takes itself down, and may not come back writable."""
    ctx.strike()
    wait_until(lambda: ctx.leader.postgres.backends(), 5, "a backend at work")
    os.kill(ctx.rng.choice(ctx.leader.postgres.backends()), signal.SIGKILL)


@FAULTS.add(expect="failover", systems=BOTH)
def freeze_postgres(ctx):
    """SIGSTOP of all of the leader's PostgreSQL, SIGCONT once another leads."""
    ctx.strike()
    ctx.leader.postgres.freeze()
    ctx.wait_for_writes()
    time.sleep(1)
    ctx.leader.postgres.thaw()


@FAULTS.add(expect="none")
def hiccup_of_postgres(ctx):
    """SIGSTOP of all of the leader's PostgreSQL for 0.3 s: no reason for anything."""
    ctx.strike()
    ctx.leader.postgres.freeze()
    time.sleep(0.3)
    ctx.leader.postgres.thaw()


@FAULTS.add(expect="any")
def stop_postgres(ctx):
    """SIGINT (fast shutdown) to the leader's postmaster, by someone who doesn't know better."""
    ctx.strike()
    os.kill(ctx.leader.postgres.postmaster(), signal.SIGINT)


@FAULTS.add(expect="failover")
def kill_postgres_twice(ctx):
    """kill -9 of the leader's PostgreSQL, and of the next leader's as soon as it has acknowledged a write."""
    ctx.strike()
    ctx.leader.postgres.kill_all()
    ctx.wait_for_writes()
    second = ctx.cluster.leader()
    again = time.monotonic()
    second.postgres.kill_all()
    ctx.wait_for_writes(90, since=again)


@FAULTS.add(expect="failover", settle_s=120, patience_s=120)
def kill_every_postgres(ctx):
    """kill -9 of all three PostgreSQL at once."""
    ctx.strike()
    for cell in ctx.cluster.cells:
        cell.postgres.kill_all()


@FAULTS.add(expect="failover")
def kill_rewind(ctx):
    """kill -9 of the old leader's pg_rewind, up to three times, after it died with WAL that nobody else has."""
    for row in ctx.leader.postgres.query("SELECT pid FROM pg_stat_activity WHERE backend_type = 'walsender'"):
        os.kill(row["pid"], signal.SIGSTOP)
    ctx.write_alone()
    services = (ctx.leader.pooler, ctx.leader.pgctld)
    ctx.strike()
    for service in services:
        ctx.cluster.supervisor.kill(service, hold=True)
    ctx.leader.postgres.kill_all()
    ctx.wait_for_writes()  # of another leader, which has never heard of that row
    for service in services:
        ctx.cluster.supervisor.start(service)
    killed = 0
    deadline = time.monotonic() + 20
    while killed < 3 and time.monotonic() < deadline:
        for pid in pids_of("pg_rewind", ctx.leader.host):
            kill(pid)
            killed += 1
        time.sleep(0.002)
    if not killed:
        ctx.violations.append("no pg_rewind within 20 s")
    ctx.expect_gone()


# --- followers

@FAULTS.add(expect="none")
def kill_follower_postgres(ctx):
    """kill -9 of a follower's PostgreSQL."""
    ctx.strike()
    ctx.followers[0].postgres.kill_all()


@FAULTS.add(expect="none")
def kill_follower_pooler(ctx):
    """kill -9 of a follower's pooler."""
    ctx.strike()
    ctx.cluster.supervisor.kill(ctx.followers[0].pooler)


@FAULTS.add(expect="none")
def freeze_follower(ctx):
    """SIGSTOP of a follower's PostgreSQL for some seconds: the other one acknowledges."""
    ctx.strike()
    ctx.followers[0].postgres.freeze()
    time.sleep(LONG_S)
    ctx.followers[0].postgres.thaw()


@FAULTS.add(expect="none", settle_s=120)
def lose_both_followers(ctx):
    """Both followers' PostgreSQL and poolers dead: writes hang, none is acknowledged, and they go on when a follower is back."""
    services = [service for cell in ctx.followers for service in (cell.pooler, cell.pgctld)]
    ctx.cluster.supervisor.hold(services)
    for service in services:
        ctx.cluster.supervisor.kill(service, hold=True)
    for cell in ctx.followers:
        cell.postgres.kill_all()
    ctx.strike()
    time.sleep(0.2)  # acknowledgements on their way
    ctx.expect_no_writes(4)
    for service in services:
        ctx.cluster.supervisor.start(service)


@FAULTS.add(expect="failover", settle_s=120)
def kill_leader_while_follower_is_away(ctx):
    """A follower's PostgreSQL is frozen when the leader's is killed: nobody can lead until one of them is back."""
    ctx.followers[0].postgres.freeze()
    time.sleep(1)
    ctx.strike()
    ctx.leader.postgres.kill_all()
    time.sleep(3)
    ctx.followers[0].postgres.thaw()


# --- helpers

def pids_of(program, host):
    found = []
    for pid in host.processes():
        try:
            if pathlib.Path(f"/proc/{pid}/comm").read_text().strip() == program:
                found.append(pid)
        except OSError:
            pass
    return found


def kill(pid):
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
