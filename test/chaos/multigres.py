"""A Multigres cluster of three cells: a host each for PostgreSQL with its pooler and gateway, one for each orchestrator (so that it can
be cut off alone), one for etcd and multiadmin, one for the clients."""

import json
import os
import pathlib
import shutil
import subprocess
import time
import urllib.request

from patience import wait_until
from postgres import Postgres, wait_for_replay
from services import Service, Supervisor

BIN = pathlib.Path(os.environ.get("MULTIGRES_BIN_DIR", "build/release/bin")).resolve()
PROGRAMS = ("multigateway", "multipooler", "pgctld", "multiorch", "multiadmin", "multigres")
CELLS = ("zone1", "zone2", "zone3")
# Below the ephemeral ports, and the same on every host.
ETCD, ETCD_PEER, GATEWAY, REPLICA, PG = 23790, 23800, 15432, 15433, 25432
HTTP = {"multiadmin": 18000, "multigateway": 18100, "multipooler": 18200, "pgctld": 18300, "multiorch": 18400}
GRPC = {name: port + 1000 for name, port in HTTP.items()}
GLOBAL_ROOT = "/multigres/global"
PASSWORD = "postgres"
RULE = """SELECT decision_coordinator_term AS term, decision_leader_subterm AS subterm, leader_id, cardinality(cohort_members) AS members,
                 proposal_coordinator_term AS proposal FROM multigres.current_rule"""
HISTORY = """SELECT coordinator_term AS term, leader_subterm AS subterm, event_type, leader_id, wal_position, decided, reason
             FROM multigres.rule_history ORDER BY 1, 2"""


class Cell:
    """A cell's hosts and services, and the PostgreSQL in it."""

    def __init__(self, name, host, orch_host):
        self.name = name
        self.host = host
        self.orch_host = orch_host
        self.pooler_dir = host.folder / "pooler"
        self.postgres = Postgres(host, self.pooler_dir / "pg_data", self.pooler_dir / "pg_sockets", PG, PASSWORD)
        self.gateway = self.pgctld = self.pooler = self.orch = None

    @property
    def member(self):
        """Its name in rules, and as standby."""
        return f"{self.name}_pooler"

    @property
    def services(self):
        return [self.pgctld, self.pooler, self.gateway, self.orch]


class MultigresCluster:
    system = "multigres"

    def __init__(self, network, account, small_disks=False):
        self.network = network
        self.account = account
        self.small_disks = small_disks
        self.supervisor = Supervisor()
        self.bin = network.work / "bin"
        self.control = network.add_host("control")
        self.clients = network.add_host("clients")
        self.cells = [Cell(name, network.add_host(name), network.add_host(f"{name}-orch")) for name in CELLS]
        self.etcd = self.admin = None

    # --- life

    def start(self):
        self.bin.mkdir()
        for program in PROGRAMS:
            shutil.copy(BIN / program, self.bin / program)
        self._start_etcd()
        self.write_topology()
        self.admin = self._start("multiadmin", self.control, [*self._topology_flags(self.control), "--service-map=grpc-multiadmin"])
        for cell in self.cells:
            self._start_cell(cell)
        self.settle(120)
        self.prepare_tables()

    def prepare_tables(self):
        self.execute("CREATE TABLE chaos_writes (run int, writer int, seq bigint)")
        self.execute("CREATE INDEX ON chaos_writes (run, writer, seq)")

    def close(self):
        for cell in self.cells:
            cell.postgres.thaw()
        self.supervisor.close()
        for cell in self.cells:
            cell.postgres.kill_all()

    def unmount(self):
        for cell in self.cells:
            subprocess.run(["umount", "--lazy", str(cell.pooler_dir)], check=False)

    def _own(self, path, mode):
        path.mkdir(exist_ok=True)
        path.chmod(mode)
        if self.account:
            os.chown(path, *self.account)

    def _start_etcd(self):
        self._own(self.control.folder / "etcd", 0o700)
        url, peer = f"http://{self.control.address}:{ETCD}", f"http://{self.control.address}:{ETCD_PEER}"
        argv = [shutil.which("etcd") or "/usr/bin/etcd", "--name=default", f"--data-dir={self.control.folder}/etcd",
                f"--listen-client-urls={url}", f"--advertise-client-urls={url}", f"--listen-peer-urls={peer}",
                f"--initial-advertise-peer-urls={peer}", f"--initial-cluster=default={peer}", "--log-outputs=stderr"]
        if self.etcd is None:
            self.etcd = Service("etcd", self.control, argv, {}, self.account)
        self.supervisor.start(self.etcd)
        wait_until(lambda: self._get(f"{url}/health").get("health") == "true", 30, "etcd")

    def wipe_etcd(self):
        """Stops it, forgets all it knew, starts it again empty but for what an operator writes."""
        self.supervisor.kill(self.etcd, hold=True)
        wait_until(lambda: not self.etcd.alive, 10, "the end of etcd")
        shutil.rmtree(self.control.folder / "etcd")
        self._start_etcd()
        self.write_topology()

    def write_topology(self):
        done = subprocess.run(
            [self.bin / "multigres", "createclustermetadata", f"--global-topo-address={self.control.address}:{ETCD}",
             f"--global-topo-root={GLOBAL_ROOT}", f"--cells={','.join(CELLS)}", f"--backup-location={self.control.folder}/backups"],
            capture_output=True, text=True, timeout=30)
        if done.returncode != 0:
            raise RuntimeError(f"createclustermetadata: {done.stdout}{done.stderr}")

    def _topology_flags(self, host):
        return [f"--hostname={host.address}", f"--topo-global-server-addresses={self.control.address}:{ETCD}",
                f"--topo-global-root={GLOBAL_ROOT}"]

    def _start(self, program, host, flags, environment=None, command=()):
        argv = [self.bin / program, *command, f"--http-port={HTTP[program]}", f"--grpc-port={GRPC[program]}",
                f"--bind-address={host.address}", f"--grpc-bind-address={host.address}",
                f"--log-output={host.folder}/logs/{program}.log", *flags]
        service = Service(program, host, argv, environment or {}, self.account)
        self._own(host.folder / "logs", 0o755)
        service.log.touch()
        if self.account:
            os.chown(service.log, *self.account)
        return self.supervisor.start(service)

    def _start_cell(self, cell):
        self._own(cell.pooler_dir, 0o700)
        if self.small_disks:
            subprocess.run(["mount", "-t", "tmpfs", "-o", "size=640m", "none", str(cell.pooler_dir)], check=True)
        self._own(cell.pooler_dir, 0o700)
        self._own(cell.postgres.socket_dir, 0o700)
        secret = cell.host.folder / "postgres-password"
        secret.write_text(PASSWORD + "\n")
        secret.chmod(0o600)
        if self.account:
            os.chown(secret, *self.account)
        environment = {"PGDATA": str(cell.postgres.data_dir), "POSTGRES_PASSWORD_FILE": str(secret)}
        address = cell.host.address
        cell.pgctld = self._start(
            "pgctld", cell.host,
            [f"--pooler-dir={cell.pooler_dir}", f"--pg-listen-addresses={address}", f"--pg-port={PG}", "--pg-database=postgres",
             "--pg-user=postgres", "--timeout=30", f"--pg-replication-hosts={self.network.client_range}"],
            environment, command=["server"])
        cell.pooler = self._start(
            "multipooler", cell.host,
            [*self._topology_flags(cell.host), f"--cell={cell.name}", "--database=postgres", "--table-group=default", "--shard=0-inf",
             "--service-id=pooler", f"--pgctld-addr={address}:{GRPC['pgctld']}", f"--pooler-dir={cell.pooler_dir}", f"--pg-port={PG}",
             f"--socket-file={cell.postgres.socket_dir}/.s.PGSQL.{PG}", "--service-map=grpc-pooler"],
            environment)
        cell.gateway = self._start(
            "multigateway", cell.host,
            [*self._topology_flags(cell.host), f"--cell={cell.name}", "--service-id=gateway", f"--pg-port={GATEWAY}",
             f"--pg-replica-port={REPLICA}", f"--pg-bind-address={address}"])
        cell.orch = self._start(
            "multiorch", cell.orch_host,
            [*self._topology_flags(cell.orch_host), f"--cell={cell.name}", "--service-id=orch", "--watch-targets=postgres"])

    # --- what it is like

    @property
    def targets(self):
        return [[cell.host.address, GATEWAY] for cell in self.cells]

    def leader(self):
        """The cell whose PostgreSQL is out of recovery and is named by its own rule."""
        for cell in self.cells:
            try:
                if not cell.postgres.value("SELECT pg_is_in_recovery()"):
                    if cell.postgres.query(RULE)[0]["leader_id"] == cell.member:
                        return cell
            except Exception:  # noqa: BLE001  (down or coming up)
                continue
        raise AssertionError("no leader")

    def followers(self):
        leader = self.leader()
        return [cell for cell in self.cells if cell is not leader]

    def execute(self, sql):
        """Through a gateway, as an application would."""
        import psycopg
        host, port = self.targets[0]
        with psycopg.connect(host=host, port=port, user="postgres", password=PASSWORD, dbname="postgres", autocommit=True,
                             connect_timeout=10) as connection:
            cursor = connection.execute(sql)
            return cursor.fetchall() if cursor.description else []

    def why_not_settled(self):
        """None if one leader leads by a decided rule, two others stream and count, and every gateway writes; else what is missing."""
        if not self.supervisor.all_alive():
            return "a service is down"
        leader = self.leader()
        for cell in self.cells:
            if cell is not leader and not cell.postgres.value("SELECT pg_is_in_recovery()"):
                return f"{cell.name} is out of recovery beside {leader.name}"
        rule = leader.postgres.query(RULE)[0]
        if rule["proposal"] is not None or rule["members"] != len(self.cells):
            return f"rule {rule}"
        streaming = leader.postgres.query("SELECT application_name, state, sync_state, replay_lsn, pg_current_wal_lsn() - replay_lsn AS lag"
                                          " FROM pg_stat_replication WHERE state = 'streaming' AND sync_state IN ('sync', 'quorum')")
        names = {row["application_name"] for row in streaming}
        if names != {cell.member for cell in self.cells if cell is not leader}:
            return f"{leader.name} leads, streaming: {sorted(names)}"
        for cell in self.cells:
            if (cell.pooler_dir / ".multigres-rewind-in-progress").exists():
                return f"{cell.name} rewinds"
        return None

    def settle(self, timeout):
        def settled():
            reason = self.why_not_settled()
            if reason:
                raise AssertionError(reason)
            # A diverged member may stream for a moment, from a timeline that it has to leave: it must get on.
            wait_for_replay(self.leader(), self.cells, 1)
            for host, port in self.targets:
                self._select_one(host, port)
            return True
        wait_until(settled, timeout, "three members that stream")

    def _select_one(self, host, port):
        import psycopg
        with psycopg.connect(host=host, port=port, user="postgres", password=PASSWORD, dbname="postgres", connect_timeout=3) as connection:
            connection.execute("SELECT 1")

    def history(self, cell):
        return cell.postgres.query(HISTORY)

    def rule(self, cell):
        return cell.postgres.query(RULE)[0]

    def promotions(self):
        """How many leaders were ever appointed."""
        return sum(row["event_type"] == "promotion" for row in self.history(self.leader()))

    def switch_primary(self):
        url = f"http://{self.control.address}:{HTTP['multiadmin']}/api/v1/shards/postgres/default/0-inf/switch-primary"
        request = urllib.request.Request(url, data=b"{}", method="POST", headers={"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=60) as response:
            return json.load(response)

    def records(self):
        """How many services of each kind the topology lists."""
        url = f"http://{self.control.address}:{HTTP['multiadmin']}/api/v1"
        return {kind: len(self._get(f"{url}/{kind}").get(kind, [])) for kind in ("poolers", "gateways", "orchs")}

    @staticmethod
    def _get(url):
        with urllib.request.urlopen(url, timeout=2) as response:
            return json.load(response)

    # --- whole hosts

    def kill_host(self, cell):
        """The power fails: the cable is dead first, so that nobody hears a farewell."""
        hosts = (cell.host, cell.orch_host)
        self.supervisor.hold(cell.services)
        if self.network.isolated:
            self.network.unplug(*hosts)
        kill_everything_on(hosts)

    def boot_host(self, cell):
        if self.network.isolated:
            self.network.plug(cell.host, cell.orch_host)
        for service in cell.services:
            self.supervisor.start(service)

    def logs(self):
        return sorted(path for path in self.network.work.rglob("*.log"))


def kill_everything_on(hosts):
    for _ in range(3):
        for host in hosts:
            for pid in host.processes():
                try:
                    os.kill(pid, 9)
                except ProcessLookupError:
                    pass
        time.sleep(0.002)
