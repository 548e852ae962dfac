"""The peer: the distribution's Patroni with etcd and HAProxy on the same hosts, as fast as its documentation lets it be tuned.

ttl 20, loop_wait 1 and retry_timeout 3 are the least that this version accepts (patroni.validator, patroni.config); the rule
loop_wait + 2 * retry_timeout <= ttl holds. primary_start_timeout 0: a leader whose PostgreSQL crashes fails over at once instead of
being started again. synchronous_mode on with synchronous_mode_strict: nothing is acknowledged by one server alone. HAProxy asks
Patroni's REST interface every 100 ms and ends the sessions of whoever stops being the primary."""

import json
import os
import shutil
import subprocess
import urllib.request

import psycopg
import yaml

from multigres import kill_everything_on
from patience import wait_until
from postgres import Postgres, wait_for_replay
from services import Service, Supervisor

ETCD, ETCD_PEER, PG, REST, PROXY = 23790, 23800, 25432, 18008, 15432
PASSWORD = "postgres"
PG_BIN = max((str(path) for path in __import__("pathlib").Path("/usr/lib/postgresql").glob("*/bin")), default="")


class Member:
    def __init__(self, name, host):
        self.name = name
        self.host = host
        self.postgres = Postgres(host, host.folder / "data", host.folder / "sockets", PG, PASSWORD)
        self.patroni = None

    @property
    def services(self):
        return [self.patroni]


class PatroniCluster:
    system = "patroni"

    def __init__(self, network, account):
        self.network = network
        self.account = account
        self.supervisor = Supervisor()
        self.control = network.add_host("control")
        self.clients = network.add_host("clients")
        self.cells = [Member(f"node{n}", network.add_host(f"node{n}")) for n in (1, 2, 3)]

    def start(self):
        self._start_etcd()
        for member in self.cells:
            self._start_member(member)
        self._start_proxy()
        self.settle(120)
        self.execute("CREATE TABLE chaos_writes (run int, writer int, seq bigint)")
        self.execute("CREATE INDEX ON chaos_writes (run, writer, seq)")

    def close(self):
        self.supervisor.close()
        for member in self.cells:
            member.postgres.thaw()
            member.postgres.kill_all()

    def _own(self, path, mode=0o700):
        path.mkdir(exist_ok=True)
        path.chmod(mode)
        if self.account:
            os.chown(path, *self.account)

    def _start_etcd(self):
        self._own(self.control.folder / "etcd")
        url, peer = f"http://{self.control.address}:{ETCD}", f"http://{self.control.address}:{ETCD_PEER}"
        argv = [shutil.which("etcd") or "/usr/bin/etcd", "--name=default", f"--data-dir={self.control.folder}/etcd",
                f"--listen-client-urls={url}", f"--advertise-client-urls={url}", f"--listen-peer-urls={peer}",
                f"--initial-advertise-peer-urls={peer}", f"--initial-cluster=default={peer}", "--log-outputs=stderr"]
        self.supervisor.start(Service("etcd", self.control, argv, {}, self.account))
        wait_until(lambda: json.load(urllib.request.urlopen(f"{url}/health", timeout=2)).get("health") == "true", 30, "etcd")

    def _start_member(self, member):
        host = member.host
        self._own(host.folder, 0o755)
        self._own(member.postgres.socket_dir)
        path = host.folder / "patroni.yaml"
        path.write_text(yaml.safe_dump(self._configuration(member)))
        if self.account:
            os.chown(path, *self.account)
        service = Service("patroni", host, ["/usr/bin/patroni", path], {"HOME": str(host.folder)}, self.account)
        member.patroni = self.supervisor.start(service)

    def _configuration(self, member):
        address = member.host.address
        settings = {"wal_level": "logical", "hot_standby": "on", "wal_log_hints": "on", "max_connections": 110,
                    "max_wal_senders": 25, "max_replication_slots": 25, "wal_keep_size": "1000MB",
                    "wal_retrieve_retry_interval": "100ms", "wal_receiver_status_interval": "1s"}
        return {
            "scope": "chaos", "name": member.name,
            "restapi": {"listen": f"{address}:{REST}", "connect_address": f"{address}:{REST}"},
            "etcd3": {"hosts": [f"{self.control.address}:{ETCD}"]},
            "bootstrap": {
                "dcs": {"ttl": 20, "loop_wait": 1, "retry_timeout": 3, "maximum_lag_on_failover": 0,
                        "primary_start_timeout": 0, "master_start_timeout": 0, "synchronous_mode": True,
                        "synchronous_mode_strict": True,
                        "postgresql": {"use_pg_rewind": True, "use_slots": True, "parameters": settings}},
                "initdb": [{"encoding": "UTF8"}, "data-checksums"],
            },
            "postgresql": {
                "listen": f"{address}:{PG}", "connect_address": f"{address}:{PG}", "data_dir": str(member.postgres.data_dir),
                "bin_dir": PG_BIN, "pgpass": str(member.host.folder / "pgpass"),
                "authentication": {"superuser": {"username": "postgres", "password": PASSWORD},
                                   "replication": {"username": "replicator", "password": PASSWORD},
                                   "rewind": {"username": "postgres", "password": PASSWORD}},
                "parameters": {"unix_socket_directories": str(member.postgres.socket_dir)},
                "pg_hba": ["local all all scram-sha-256", f"host all all {self.network.client_range} scram-sha-256",
                           f"host replication all {self.network.client_range} scram-sha-256"],
            },
            "watchdog": {"mode": "off"},
        }

    def _start_proxy(self):
        servers = "".join(f"  server {m.name} {m.host.address}:{PG} check port {REST}\n" for m in self.cells)
        path = self.clients.folder / "haproxy.cfg"
        path.write_text(f"""defaults
  mode tcp
  timeout connect 500ms
  timeout client 1h
  timeout server 1h
  timeout check 500ms
listen primary
  bind {self.clients.address}:{PROXY}
  option httpchk OPTIONS /primary
  http-check expect status 200
  default-server inter 100ms fall 2 rise 1 on-marked-down shutdown-sessions
{servers}""")
        self.supervisor.start(Service("haproxy", self.clients, ["/usr/sbin/haproxy", "-db", "-f", path], {}, self.account))

    # --- what it is like

    @property
    def targets(self):
        return [[self.clients.address, PROXY]]

    def leader(self):
        """The member whose PostgreSQL is out of recovery with a synchronous standby."""
        for member in self.cells:
            try:
                if not member.postgres.value("SELECT pg_is_in_recovery()"):
                    return member
            except Exception:  # noqa: BLE001  (down or coming up)
                continue
        raise AssertionError("no leader")

    def execute(self, sql):
        host, port = self.targets[0]
        with psycopg.connect(host=host, port=port, user="postgres", password=PASSWORD, dbname="postgres", autocommit=True,
                             connect_timeout=10) as connection:
            connection.execute(sql)

    def why_not_settled(self):
        if not self.supervisor.all_alive():
            return "a service is down"
        leader = self.leader()
        for member in self.cells:
            if member is not leader and not member.postgres.value("SELECT pg_is_in_recovery()"):
                return f"{member.name} is out of recovery beside {leader.name}"
        rows = leader.postgres.query("SELECT application_name, sync_state FROM pg_stat_replication WHERE state = 'streaming'")
        if len(rows) != 2 or not any(row["sync_state"] in ("sync", "quorum") for row in rows):
            return f"{leader.name} leads, streaming: {rows}"
        return None

    def settle(self, timeout):
        def settled():
            reason = self.why_not_settled()
            if reason:
                raise AssertionError(reason)
            wait_for_replay(self.leader(), self.cells, 1)
            host, port = self.targets[0]
            with psycopg.connect(host=host, port=port, user="postgres", password=PASSWORD, dbname="postgres", connect_timeout=3) as c:
                return not c.execute("SELECT pg_is_in_recovery()").fetchone()[0]
        wait_until(settled, timeout, "three members that stream")

    def promotions(self):
        """Each promotion makes a new timeline."""
        return int(self.leader().postgres.value("SELECT pg_walfile_name(pg_current_wal_lsn())")[:8], 16) - 1

    # --- whole hosts

    def kill_host(self, member):
        self.supervisor.hold(member.services)
        if self.network.isolated:
            self.network.unplug(member.host)
        kill_everything_on([member.host])

    def boot_host(self, member):
        if self.network.isolated:
            self.network.plug(member.host)
        for service in member.services:
            self.supervisor.start(service)

    def version(self):
        return subprocess.run(["/usr/bin/patroni", "--version"], capture_output=True, text=True).stdout.strip()
