"""Faults of hosts, of the network between them, and of disks."""

import pathlib
import time

import psycopg

from fault import Catalogue

FAULTS = Catalogue()
BOTH = ("multigres", "patroni")


@FAULTS.add(expect="failover", systems=BOTH, settle_s=120)
def kill_host(ctx):
    """The leader's host loses its power with all that runs on it, and boots again once another leads."""
    ctx.lose_gateway(ctx.leader)
    ctx.strike()
    ctx.cluster.kill_host(ctx.leader)
    ctx.wait_for_writes()
    time.sleep(1)
    ctx.cluster.boot_host(ctx.leader)


@FAULTS.add(expect="failover", settle_s=180, patience_s=180)
def kill_every_host(ctx):
    """All three hosts lose their power, and boot again after two seconds."""
    for cell in ctx.cluster.cells:
        ctx.lose_gateway(cell)
    ctx.strike()
    for cell in ctx.cluster.cells:
        ctx.cluster.kill_host(cell)
    time.sleep(2)
    for cell in ctx.cluster.cells:
        ctx.cluster.boot_host(cell)


@FAULTS.add(expect="failover", needs="network", systems=BOTH, cuts_off_clients=True)
def cut_off_host(ctx):
    """The leader's host is cut off from everybody, clients too, until another leads and then some."""
    ctx.lose_gateway(ctx.leader)
    ctx.strike()
    ctx.network.unplug(ctx.leader.host)
    ctx.wait_for_writes()
    time.sleep(2)
    ctx.network.heal()


@FAULTS.add(expect="failover", needs="network", cuts_off_clients=True)
def partition_leader(ctx):
    """The leader's host is cut off from the other cells and etcd; its own clients still reach it, and may not be served writes."""
    ctx.strike()
    ctx.network.cut([ctx.leader.host], _beyond(ctx, ctx.leader))
    ctx.wait_for_writes()
    time.sleep(3)
    ctx.network.heal()


# --- the network is bad for some seconds

# name, what, seconds, how, and the rest of what a fault is
DISTURBED = (
    ("partition_leader_and_one",
     "The leader and a follower on one side, the other follower with all orchestrators and etcd on the other.", 6,
     lambda ctx: ctx.network.cut([ctx.leader.host, ctx.followers[0].host],
                                 [ctx.followers[1].host, ctx.cluster.control, *_orch_hosts(ctx)]), {}),
    ("partition_orchs_from_leader", "No orchestrator reaches the leader, its followers do.", 6,
     lambda ctx: ctx.network.cut([ctx.leader.host], _orch_hosts(ctx)), {}),
    ("deafen_orchs", "What the leader's host sends to the orchestrators is lost; what they send arrives.", 6,
     lambda ctx: ctx.network.drop([ctx.leader.host], _orch_hosts(ctx)), {}),
    ("cut_off_follower", "A follower's host is cut off from everybody for some seconds.", 5,
     lambda ctx: (ctx.lose_gateway(ctx.followers[0]), ctx.network.unplug(ctx.followers[0].host)), {}),
    ("slow_follower", "The line to a follower is far too slow for the WAL: the other one acknowledges.", 8,
     lambda ctx: ctx.network.throttle(ctx.followers[0].host), {"needs": "throttle", "settle_s": 120}),
    ("silence_followers", "What followers send to the leader is lost, what it sends arrives: they have the WAL, and it can't know.", 6,
     lambda ctx: ctx.network.drop([follower.host for follower in ctx.followers], [ctx.leader.host]),
     {"expect": "any", "cuts_off_clients": True, "settle_s": 120}),
)


def _disturbed(disturb, seconds):
    def action(ctx):
        ctx.strike()
        disturb(ctx)
        time.sleep(seconds)
        ctx.network.heal()
    return action


for _name, _what, _seconds, _disturb, _more in DISTURBED:
    FAULTS.add(_name, _what, **{"expect": "none", "needs": "network", **_more})(_disturbed(_disturb, _seconds))


# --- and what an old leader did meanwhile

@FAULTS.add(expect="failover", needs="network", cuts_off_clients=True)
def stale_leader_with_extra_wal(ctx):
    """A cut-off leader commits on its own (past the gateway, synchronous_commit off) and returns: the row must be gone."""
    ctx.strike()
    ctx.network.cut([ctx.leader.host], _beyond(ctx, ctx.leader))
    ctx.write_alone()
    ctx.wait_for_writes()
    time.sleep(1)
    ctx.network.heal()
    ctx.expect_gone()


@FAULTS.add(expect="failover", needs="small-disks", settle_s=120)
def fill_disk_of_leader(ctx):
    """The leader's disk is full: pg_wal and the pooler's own folder."""
    def suffer():
        _use_up_wal(ctx.leader)
        ctx.wait_for_writes()
    _fill_then_free(ctx, ctx.leader, suffer)


@FAULTS.add(expect="none", needs="small-disks", settle_s=120)
def fill_disk_of_follower(ctx):
    """A follower's disk is full."""
    _fill_then_free(ctx, ctx.followers[0], lambda: time.sleep(5))


@FAULTS.add(expect="failover", needs="small-disks", settle_s=120, patience_s=120)
def kill_leader_while_disk_of_follower_is_full(ctx):
    """A follower that can't write its promise promises nothing: no leader until it has room again."""
    def kill():
        ctx.strike()
        ctx.leader.postgres.kill_all()
        time.sleep(4)
    _fill_then_free(ctx, ctx.followers[0], kill)


def _beyond(ctx, cell):
    """Every host but the cell's own and the clients'."""
    return [host for host in ctx.network.hosts.values() if host not in (cell.host, ctx.cluster.clients)]


def _orch_hosts(ctx):
    return [cell.orch_host for cell in ctx.cluster.cells]


def _fill_then_free(ctx, cell, meanwhile):
    ballast = pathlib.Path(cell.pooler_dir) / "ballast"
    ctx.strike()
    _fill(ballast, 1 << 20)
    _fill(ballast, 1 << 12)
    try:
        meanwhile()
    finally:
        ballast.unlink()


def _fill(path, step):
    with open(path, "ab", buffering=0) as file:
        try:
            while True:
                file.write(bytes(step))
        except OSError:
            pass


def _use_up_wal(cell):
    """Segments that were kept for reuse would last for a while."""
    try:
        for _ in range(100):
            cell.postgres.query("SELECT pg_logical_emit_message(false, 'chaos', repeat('x', 100)), pg_switch_wal()")
    except psycopg.Error:
        pass  # it has found out
