"""Did the cluster keep its word? Compares what clients were told with what every server holds."""

import collections

from postgres import wait_for_replay

FINGERPRINT = """SELECT count(*)::bigint AS rows, coalesce(sum(hashint8extended(seq, writer)), 0)::text AS sum
                 FROM chaos_writes WHERE run = %s"""
MAX_NAMED = 5


def check(cluster, run, outcome):
    """Violations of one run, in words."""
    leader = cluster.leader()
    held = collections.defaultdict(collections.Counter)
    with leader.postgres.connect(60) as connection, connection.cursor() as cursor:
        with cursor.copy(f"COPY (SELECT writer, seq FROM chaos_writes WHERE run = {run}) TO STDOUT") as copy:
            for row in b"".join(map(bytes, copy)).splitlines():
                writer, seq = row.split(b"\t")
                held[int(writer)][int(seq)] += 1
    found = []
    for writer in outcome["writers"]:
        found += check_writer(writer, held[writer["writer"]])
    for reader in outcome["readers"]:
        for writer, seq in reader["seen"]:
            if seq and not held[writer][seq]:
                found.append(f"LOST: a reader saw row {seq} of writer {writer}, and it is gone")
    found += _check_copies(cluster, leader, run)
    if cluster.system == "multigres":
        found += check_rules(cluster, leader)
    return found


def _name(what, writer, seqs):
    seqs = sorted(seqs)
    more = "" if len(seqs) <= MAX_NAMED else ", ..."
    return f"{what}: {len(seqs)} of writer {writer} ({', '.join(map(str, seqs[:MAX_NAMED]))}{more})" if seqs else None


def check_writer(writer, held):
    number = writer["writer"]
    refused, unknown = set(writer["refused"]), set(writer["unknown"])
    written = set(range(1, writer["last"] + 1))
    acknowledged = written - refused - unknown
    present = {seq for seq in held if seq > 0}
    found = [_name("LOST: acknowledged and absent", number, acknowledged - present),
             _name("GHOST: told that it failed, and present", number, refused & present),
             _name("GHOST: never sent, and present", number, present - written),
             _name("TWICE", number, {seq for seq, times in held.items() if times > 1})]
    if writer["transactional"]:
        halves = {seq for seq in present if -seq not in held} | {-seq for seq in held if seq < 0 and -seq not in held}
        found.append(_name("HALF of a transaction", number, halves))
    return [line for line in found if line]


def _check_copies(cluster, leader, run):
    """Every member holds the same rows once it has replayed as far as the leader."""
    wait_for_replay(leader, cluster.cells, 30)
    expected = leader.postgres.query(FINGERPRINT, (run,), timeout_s=60)[0]
    found = []
    for cell in cluster.cells:
        if cell is leader:
            continue
        rows = cell.postgres.query(FINGERPRINT, (run,), timeout_s=60)[0]
        if rows != expected:
            found.append(f"LOST: {cell.name} holds {rows}, {leader.name} {expected}")
    return found


def fingerprints(cluster, runs):
    """What the leader holds of these runs: compared again at the very end, many leaders later."""
    return {run: cluster.leader().postgres.query(FINGERPRINT, (run,), timeout_s=60)[0] for run in runs}


def check_rules(cluster, leader):
    """One ordered chain, at most one leader a term, the same on every member, and the current rule is its end."""
    history = cluster.history(leader)
    found = []
    leaders = collections.defaultdict(set)
    for row in history:
        if row["leader_id"]:
            leaders[row["term"]].add(row["leader_id"])
    found += [f"RULES: term {term} has leaders {sorted(names)}" for term, names in leaders.items() if len(names) > 1]
    positions = [_lsn(row["wal_position"]) for row in history if row["decided"] and row["wal_position"]]
    if positions != sorted(positions):
        found.append(f"RULES: decided out of order: {positions}")
    decided = [row for row in history if row["decided"]]
    rule = cluster.rule(leader)
    if decided and (decided[-1]["term"], decided[-1]["subterm"]) != (rule["term"], rule["subterm"]):
        found.append(f"RULES: the current rule {rule} isn't the newest decided {decided[-1]}")
    timeline = int(leader.postgres.value("SELECT pg_walfile_name(pg_current_wal_lsn())")[:8], 16)
    for cell in cluster.cells:
        if cell is leader:
            continue
        if cluster.history(cell) != history:
            found.append(f"RULES: {cell.name} has another history than {leader.name}")
        if cell.postgres.value("SELECT received_tli FROM pg_stat_wal_receiver") != timeline:
            found.append(f"RULES: {cell.name} streams another timeline than {timeline}")
    return found


def _lsn(text):
    high, low = text.split("/")
    return int(high, 16) << 32 | int(low, 16)
