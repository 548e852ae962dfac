"""How often does a cluster under heavy load change its leader for nothing?"""

import pathlib
import shutil
import subprocess
import tempfile
import time

CLIENTS = 64


def count_false_alarms(session, seconds):
    """pgbench through a gateway for so long; prints failovers an hour. Exit status: 1 if there was any."""
    work = pathlib.Path(tempfile.mkdtemp(prefix="chaos-", dir=session.options.root))
    work.chmod(0o755)
    cluster = session.cluster_for("multigres", work, small_disks=False)
    try:
        cluster.start()
        host, port = cluster.targets[0]
        pgbench(cluster, host, port, "-i", "-q", "-s", "10")
        before = cluster.promotions()
        began = time.monotonic()
        said = pgbench(cluster, host, port, "-n", "-M", "prepared", "-c", CLIENTS, "-j", 2, "-T", int(seconds))
        hours = (time.monotonic() - began) / 3600
        alarms = cluster.promotions() - before
        cluster.settle(90)
    finally:
        cluster.close()
        cluster.network.close()
    print("\n".join(line for line in said.splitlines() if line.startswith(("tps", "latency average", "number of failed"))))
    print(f"{alarms} needless failovers in {hours * 60:.1f} minutes with {CLIENTS} clients: {alarms / hours:.1f} an hour")
    shutil.rmtree(work, ignore_errors=True) if not alarms else print(f"logs and data: {work}")
    return 1 if alarms else 0


def pgbench(cluster, host, port, *arguments):
    program = shutil.which("pgbench") or str(max(pathlib.Path("/usr/lib/postgresql").glob("*/bin/pgbench")))
    argv = ["env", "PGPASSWORD=postgres", program, "-h", host, "-p", port, "-U", "postgres", *arguments, "postgres"]
    done = subprocess.run(cluster.clients.command(argv, cluster.account), capture_output=True, text=True)
    if done.returncode != 0:
        raise RuntimeError(f"pgbench: {done.stdout}{done.stderr}")
    return done.stdout
