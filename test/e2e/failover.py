"""Clients ride through: writers, readers, transactions and idle sessions while the leader's PostgreSQL is killed, its pooler leaves
and an operator switches over. No acknowledged write is lost, none appears twice, and errors are of the permitted kinds only."""

import os
import pathlib
import signal
import sys
import threading
import time
import unittest

import psycopg

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from cluster import Cluster, wait_until  # noqa: E402

LEADER = 25432
# What a statement may end in whose outcome nobody knows: ours, and the server's own.
UNKNOWN = {"08007", "57P01", "57P02"}
# What waited for a leader for longer than the buffer's window: it did not run.
NOT_RUN = {"MTB02"}
# A transaction that is known to be rolled back.
ROLLED_BACK = {"40001"}


class Client(threading.Thread):
    """Works on one session until it is told to stop. Whatever surprises it is kept for the test."""

    def __init__(self, cluster, zone, number):
        super().__init__(name=f"{type(self).__name__} {number}", daemon=True)
        self.number = number
        self.stopping = threading.Event()
        self.acknowledged = []
        self.unknown = []
        self.errors = []  # (sqlstate, text)
        self.unexpected = []
        self.connection = psycopg.connect(**cluster.gateway(zone), autocommit=True, connect_timeout=30)
        self.pid = self.connection.info.backend_pid

    def run(self):
        key = 0
        while not self.stopping.is_set():
            key += 1
            try:
                self.work(key)
            except psycopg.Error as error:
                self.errors.append((error.sqlstate, str(error).strip()))
                if error.sqlstate not in self.permitted or self.connection.closed:
                    self.unexpected.append(f"{self.name}, {key}: {error.sqlstate} {error}")
                    return
                self.after(key, error)
            except BaseException as error:  # noqa: BLE001
                self.unexpected.append(f"{self.name}, {key}: {error!r}")
                return

    def after(self, key, error):
        pass

    def finish(self):
        self.stopping.set()
        self.join(60)
        if self.is_alive():
            self.unexpected.append(f"{self.name} hangs")


class Writer(Client):
    permitted = UNKNOWN | NOT_RUN

    def work(self, key):
        self.connection.execute("INSERT INTO written VALUES (%s, %s)", (self.number, key))
        self.acknowledged.append(key)

    def after(self, key, error):
        if error.sqlstate in UNKNOWN:
            self.unknown.append(key)


class Transactor(Client):
    permitted = UNKNOWN | NOT_RUN | ROLLED_BACK

    def work(self, key):
        self.committing = False
        self.connection.execute("BEGIN")
        self.connection.execute("INSERT INTO written VALUES (%s, %s)", (self.number, 2 * key))
        self.connection.execute("INSERT INTO written VALUES (%s, %s)", (self.number, 2 * key + 1))
        self.committing = True
        self.connection.execute("COMMIT")
        self.acknowledged += [2 * key, 2 * key + 1]

    def after(self, key, error):
        if self.committing and error.sqlstate in UNKNOWN:
            self.unknown += [2 * key, 2 * key + 1]
        self.connection.execute("ROLLBACK")


class Reader(Client):
    permitted = UNKNOWN | NOT_RUN
    seen = 0

    def work(self, key):
        count = self.connection.execute("SELECT count(*) FROM written WHERE writer = 1").fetchone()[0]
        if count < self.seen:
            raise AssertionError(f"saw {self.seen} rows, then {count}")
        self.seen = count


class Failover(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.cluster = Cluster().init()
        try:
            cls.cluster.start()
            with cls.connect() as connection:
                connection.execute("CREATE TABLE written (writer int, key int)")
        except BaseException:
            print(cls.cluster.logs())
            cls.cluster.destroy()
            raise

    @classmethod
    def tearDownClass(cls):
        if os.environ.get("MULTIGRES_E2E_LOGS"):
            print(cls.cluster.logs())
        cls.cluster.destroy()

    @classmethod
    def connect(cls, zone=1):
        return psycopg.connect(**cls.cluster.gateway(zone), autocommit=True, connect_timeout=30)

    def direct(self, zone, sql):
        with psycopg.connect(host="127.0.0.1", port=self.cluster.port(LEADER + zone - 1), user="postgres",
                             password="postgres", dbname="postgres", autocommit=True, connect_timeout=5) as connection:
            return connection.execute(sql).fetchone()[0]

    def leader(self):
        """The zone whose PostgreSQL takes writes, once there is exactly one and both others follow it."""
        def settled():
            leading = [zone for zone in (1, 2, 3) if not self.direct(zone, "SELECT pg_is_in_recovery()")]
            if len(leading) != 1:
                return None
            streaming = self.direct(leading[0], "SELECT count(*) FROM pg_stat_replication WHERE state = 'streaming'")
            return leading[0] if streaming == 2 else None

        return wait_until(settled, 120, "a leader with two followers")

    def term(self):
        with self.connect(2) as connection:
            return connection.execute("SELECT decision_coordinator_term FROM multigres.current_rule").fetchone()[0]

    def setUp(self):
        self.zone = self.leader()
        self.before = self.term()
        with self.connect() as connection:
            connection.execute("TRUNCATE written")
        self.idle = [self.connect(zone) for zone in (1, 2, 3)]
        for connection in self.idle:
            connection.execute("SET application_name = 'idle'")
            connection.execute("PREPARE kept AS SELECT 42")
        self.clients = [kind(self.cluster, 1 + number % 3, number)
                        for number, kind in enumerate([Writer, Writer, Writer, Transactor, Transactor, Reader], start=1)]
        for client in self.clients:
            client.start()
        wait_until(self.all_have_worked, 30, "work of every client")

    def all_have_worked(self):
        return all(len(c.acknowledged) > 10 or getattr(c, "seen", 0) > 10 for c in self.clients) or any(
            c.unexpected for c in self.clients)

    def check(self, new_term=True):
        """After the fault: work goes on, the books balance, and those who only watched have noticed nothing."""
        if new_term:
            wait_until(lambda: self.term() > self.before, 60, "a new term")
        marks = [len(c.acknowledged) for c in self.clients]
        wait_until(lambda: all(len(c.acknowledged) > mark + 10 or isinstance(c, Reader)
                               for c, mark in zip(self.clients, marks)) or any(c.unexpected for c in self.clients),
                   60, "work of every client after the fault")
        for client in self.clients:
            client.finish()
        self.assertEqual([text for c in self.clients for text in c.unexpected], [])
        for connection in self.idle:
            self.assertEqual(connection.execute("SHOW application_name").fetchone()[0], "idle")
            self.assertEqual(connection.execute("EXECUTE kept").fetchone()[0], 42)
            connection.close()
        self.leader()
        with self.connect(3) as connection:
            rows = connection.execute("SELECT writer, key, count(*) FROM written GROUP BY 1, 2").fetchall()
        stored = {(writer, key) for writer, key, _ in rows}
        self.assertEqual([row for row in rows if row[2] != 1], [], "written twice")
        for client in self.clients:
            lost = [key for key in client.acknowledged if (client.number, key) not in stored]
            self.assertEqual(lost, [], f"{client.name} lost acknowledged writes")
            known = set(client.acknowledged) | set(client.unknown)
            ghosts = [key for writer, key in stored if writer == client.number and key not in known]
            self.assertEqual(ghosts, [], f"{client.name}: writes that it was told had failed")
            client.connection.close()

    def test_a_killed_postgres(self):
        pid = int((self.data_dir(self.zone) / "postmaster.pid").read_text().split()[0])
        os.kill(pid, signal.SIGKILL)
        self.check()

    def data_dir(self, zone):
        found = [path.parent for path in self.cluster.root.rglob("postmaster.pid")
                 if f"\n{self.cluster.port(LEADER + zone - 1)}\n" in path.read_text()]
        self.assertEqual(len(found), 1, found)
        return found[0]

    def test_a_pooler_that_leaves(self):
        os.kill(self.leaders_pooler()["pid"], signal.SIGTERM)
        self.check()

    def leaders_pooler(self):
        return next(s for s in self.cluster.services()
                    if s["service"] == "multipooler" and s["metadata"]["cell"] == f"zone{self.zone}")

    def test_a_killed_pooler(self):
        os.kill(self.leaders_pooler()["pid"], signal.SIGKILL)
        self.check(new_term=False)

    def processes(self, zone):
        """Every process of a zone's PostgreSQL."""
        postmaster = int((self.data_dir(zone) / "postmaster.pid").read_text().split()[0])
        found = [postmaster]
        for status in pathlib.Path("/proc").glob("[0-9]*/status"):
            try:
                if f"PPid:\t{postmaster}\n" in status.read_text():
                    found.append(int(status.parent.name))
            except OSError:
                pass
        return found

    def test_a_commit_that_waits_for_its_standbys_is_never_called_cancelled(self):
        def insert(connection, number):
            connection.execute("INSERT INTO written VALUES (%s, 1)", (number,))

        def copy(connection, number):
            with connection.cursor().copy("COPY written FROM STDIN") as rows:
                rows.write_row((number, 1))

        frozen = [pid for zone in (1, 2, 3) if zone != self.zone for pid in self.processes(zone)]
        outcomes = []
        with self.connect(2) as timed, self.connect(3) as cancelled:
            timed.execute("SET statement_timeout = '1s'")
            cases = [(connection, write) for write in (insert, copy) for connection in (timed, cancelled)]
            for pid in frozen:
                os.kill(pid, signal.SIGSTOP)
            try:
                for number, (connection, write) in enumerate(cases, start=100):
                    timer = threading.Timer(1, cancelled.cancel)
                    if connection is cancelled:
                        timer.start()
                    try:
                        write(connection, number)
                        outcomes.append("done")
                    except psycopg.Error as error:
                        outcomes.append(error.sqlstate)
            finally:
                for pid in frozen:
                    os.kill(pid, signal.SIGCONT)
            self.assertEqual(outcomes, ["08007"] * len(cases))
            stored = cancelled.execute("SELECT count(*) FROM written WHERE writer >= 100").fetchone()[0]
            self.assertEqual(stored, len(cases))
        self.check(new_term=False)

    def test_a_frozen_postgres(self):
        frozen = self.processes(self.zone)
        for pid in frozen:
            os.kill(pid, signal.SIGSTOP)
        try:
            wait_until(lambda: self.term() > self.before, 60, "a new term")
            marks = [len(c.acknowledged) for c in self.clients]
            wait_until(lambda: all(len(c.acknowledged) > mark or isinstance(c, Reader) for c, mark in zip(self.clients, marks)),
                       30, "an end of what was asked of the frozen server")
        finally:
            for pid in frozen:
                try:
                    os.kill(pid, signal.SIGCONT)
                except ProcessLookupError:
                    pass
        self.check(new_term=False)

    def test_two_switch_overs_in_a_row_are_not_noticed(self):
        self.cluster.cli("cluster", "switch-primary", "--yes")
        wait_until(lambda: self.term() > self.before, 60, "a new term")
        self.leader()
        self.before = self.term()
        self.cluster.cli("cluster", "switch-primary", "--yes")
        self.check()
        errors = [error for c in self.clients for error in c.errors]
        self.assertEqual(errors, [])


if __name__ == "__main__":
    unittest.main(verbosity=2)
