"""What a user does with a local cluster: start it, use it with the ordinary clients through every gateway, break it, stop it."""

import os
import pathlib
import shutil
import signal
import subprocess
import sys
import threading
import unittest

import psycopg

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from cluster import Cluster, wait_until  # noqa: E402

ZONES = (1, 2, 3)


def find_pg(program):
    found = shutil.which(program)
    candidates = sorted(pathlib.Path("/usr/lib/postgresql").glob(f"*/bin/{program}"))
    return found or str(candidates[-1])


class LocalCluster(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.cluster = Cluster().init()
        try:
            cls.started = cls.cluster.start()
        except BaseException as error:
            print(cls.cluster.logs())
            cls.cluster.destroy()
            raise error

    @classmethod
    def tearDownClass(cls):
        if os.environ.get("MULTIGRES_E2E_LOGS"):
            print(cls.cluster.logs())
        cls.cluster.destroy()

    def connect(self, zone=1, **more):
        return psycopg.connect(**self.cluster.gateway(zone), connect_timeout=10, **more)

    def run_client(self, program, *arguments, zone=1, input=None, timeout=120):
        parameters = self.cluster.gateway(zone)
        environment = dict(os.environ, PGPASSWORD=parameters["password"], PGCONNECT_TIMEOUT="10")
        done = subprocess.run(
            [find_pg(program), "-h", parameters["host"], "-p", str(parameters["port"]), "-U", parameters["user"],
             *arguments, parameters["dbname"]],
            env=environment, capture_output=True, text=True, input=input, timeout=timeout)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        return done.stdout + done.stderr

    def psql(self, *commands, zone=1, input=None):
        arguments = ["-X", "-At", "-v", "ON_ERROR_STOP=1"]
        for command in commands:
            arguments += ["-c", command]
        return self.run_client("psql", *arguments, zone=zone, input=input)

    def test_start_prints_how_to_connect(self):
        self.assertIn(f"port={self.cluster.port(15432)}", self.started.stdout)
        self.assertIn(f"http://localhost:{self.cluster.port(15000)}", self.started.stdout)

    def test_select_through_every_gateway(self):
        for zone in ZONES:
            self.assertEqual(self.psql("SELECT 1", zone=zone).strip(), "1")

    def test_a_write_through_one_gateway_is_read_through_another(self):
        self.psql("CREATE TABLE IF NOT EXISTS shared_rows(v int)", "INSERT INTO shared_rows VALUES (7)", zone=1)
        self.assertEqual(self.psql("SELECT v FROM shared_rows LIMIT 1", zone=2).strip(), "7")
        self.assertEqual(self.psql("SELECT v FROM shared_rows LIMIT 1", zone=3).strip(), "7")

    def test_every_commit_is_on_a_standby(self):
        def both_stream():
            with self.connect() as connection:
                names = connection.execute("SHOW synchronous_standby_names").fetchone()[0]
                streaming = connection.execute(
                    "SELECT count(*) FROM pg_stat_replication"
                    " WHERE state = 'streaming' AND sync_state IN ('sync', 'quorum')").fetchone()[0]
            return names.startswith("ANY 1") and streaming == 2

        wait_until(both_stream, 60, "two standbys that count for commits")

    def test_the_first_rule_is_recorded(self):
        def rule():
            with self.connect() as connection:
                return connection.execute(
                    "SELECT decision_coordinator_term, leader_id, cardinality(cohort_members), durability_policy_name,"
                    " proposal_coordinator_term FROM multigres.current_rule").fetchone()

        # The third member may come a moment after the first two have made the shard.
        row = wait_until(lambda: (r := rule())[2] == 3 and r, 60, "a cohort of three")
        with self.connect() as connection:
            decided = connection.execute("SELECT bool_and(decided), count(*) FROM multigres.rule_history").fetchone()
        self.assertGreaterEqual(row[0], 1)
        self.assertTrue(row[1])
        self.assertEqual(row[2:], (3, "AT_LEAST_2", None))
        self.assertTrue(decided[0])
        self.assertGreaterEqual(decided[1], 1)

    def test_the_replica_port_reads_a_standby_and_refuses_writes(self):
        with psycopg.connect(**self.cluster.gateway(1, replica=True), autocommit=True) as connection:
            self.assertTrue(connection.execute("SELECT pg_is_in_recovery()").fetchone()[0])
            with self.assertRaises(psycopg.errors.ReadOnlySqlTransaction):
                connection.execute("CREATE TABLE refused(v int)")

    def test_psql_describes_tables(self):
        self.psql("CREATE TABLE IF NOT EXISTS described(id int PRIMARY KEY, name text)")
        self.assertIn("described_pkey", self.run_client("psql", "-X", "-c", r"\d described"))
        self.assertIn("described", self.psql(r"\d"))
        self.assertIn("postgres", self.psql(r"\l"))

    def test_a_rolled_back_transaction_leaves_nothing(self):
        self.psql("CREATE TABLE IF NOT EXISTS rolled(v int)", "TRUNCATE rolled")
        self.psql(input="BEGIN;\nINSERT INTO rolled VALUES (1);\nROLLBACK;\n")
        self.assertEqual(self.psql("SELECT count(*) FROM rolled").strip(), "0")
        self.psql(input="BEGIN;\nINSERT INTO rolled VALUES (1);\nCOMMIT;\n")
        self.assertEqual(self.psql("SELECT count(*) FROM rolled").strip(), "1")

    def test_a_failed_transaction_says_so_until_it_is_rolled_back(self):
        with self.connect() as connection:
            with self.assertRaises(psycopg.errors.DivisionByZero):
                connection.execute("SELECT 1/0")
            with self.assertRaises(psycopg.errors.InFailedSqlTransaction):
                connection.execute("SELECT 1")
            connection.rollback()
            self.assertEqual(connection.execute("SELECT 2").fetchone(), (2,))

    def test_copy_in_and_out(self):
        self.psql("DROP TABLE IF EXISTS copied", "CREATE TABLE copied(id int, t text)")
        rows = "".join(f"{i}\trow {i}\n" for i in range(20000))
        self.psql(r"\copy copied FROM STDIN", input=rows)
        self.assertEqual(self.psql("COPY copied TO STDOUT"), rows)
        with self.connect() as connection, connection.cursor() as cursor:
            with cursor.copy("COPY copied (id, t) FROM STDIN") as copy:
                copy.write_row((20000, "from psycopg"))
            connection.commit()
            with cursor.copy("COPY (SELECT t FROM copied WHERE id = 20000) TO STDOUT") as copy:
                self.assertEqual(b"".join(bytes(part) for part in copy), b"from psycopg\n")

    def test_a_failed_copy_leaves_the_session_usable(self):
        with self.connect(autocommit=True) as connection:
            connection.execute("CREATE TABLE IF NOT EXISTS copy_fails(v int)")
            with self.assertRaises(psycopg.errors.InvalidTextRepresentation):
                with connection.cursor().copy("COPY copy_fails FROM STDIN") as copy:
                    copy.write(b"not a number\n")
            self.assertEqual(connection.execute("SELECT count(*) FROM copy_fails").fetchone(), (0,))

    def test_psycopg_prepared_statements(self):
        with self.connect(prepare_threshold=0) as connection:
            connection.execute("CREATE TABLE IF NOT EXISTS prepared(id int PRIMARY KEY, v text)")
            connection.execute("TRUNCATE prepared")
            for i in range(50):
                connection.execute("INSERT INTO prepared VALUES (%s, %s)", (i, f"value {i}"))
            connection.commit()
            for i in range(50):
                row = connection.execute("SELECT v FROM prepared WHERE id = %s", (i,), binary=i % 2 == 0).fetchone()
                self.assertEqual(row, (f"value {i}",))
            with connection.pipeline():
                cursors = [connection.execute("SELECT %s::int + 1", (i,)) for i in range(20)]
            self.assertEqual([cursor.fetchone()[0] for cursor in cursors], list(range(1, 21)))

    def test_a_setting_is_the_sessions_own(self):
        with self.connect(autocommit=True) as one, self.connect(autocommit=True) as other:
            one.execute("SET work_mem = '7MB'")
            for _ in range(5):
                self.assertEqual(one.execute("SHOW work_mem").fetchone(), ("7MB",))
                self.assertNotEqual(other.execute("SHOW work_mem").fetchone(), ("7MB",))
            one.execute("RESET work_mem")
            self.assertNotEqual(one.execute("SHOW work_mem").fetchone(), ("7MB",))

    def test_a_large_result_arrives_whole(self):
        with self.connect() as connection:
            rows = connection.execute("SELECT g, repeat('x', 100) FROM generate_series(1, 200000) g").fetchall()
            self.assertEqual(len(rows), 200000)
            self.assertEqual(rows[-1][0], 200000)
            big = connection.execute("SELECT repeat('y', 20000000)").fetchone()[0]
            self.assertEqual(len(big), 20000000)

    def test_a_running_query_is_cancelled(self):
        with self.connect(autocommit=True) as connection:
            timer = threading.Timer(0.5, connection.cancel)
            timer.start()
            with self.assertRaises(psycopg.errors.QueryCanceled):
                connection.execute("SELECT pg_sleep(60)")
            timer.join()
            self.assertEqual(connection.execute("SELECT 1").fetchone(), (1,))

    def test_a_wrong_password_is_refused(self):
        with self.assertRaises(psycopg.OperationalError) as raised:
            psycopg.connect(**dict(self.cluster.gateway(1), password="wrong"), connect_timeout=10)
        self.assertIn("password authentication failed", str(raised.exception))

    def test_a_terminated_backend_ends_at_most_its_own_session(self):
        with self.connect() as victim, self.connect(autocommit=True) as other:
            pid = victim.execute("SELECT pg_backend_pid()").fetchone()[0]
            other.execute("SELECT pg_terminate_backend(%s)", (pid,))
            with self.assertRaises(psycopg.Error):
                for _ in range(10):
                    victim.execute("SELECT 1")
            self.assertEqual(other.execute("SELECT 1").fetchone(), (1,))
        self.assertEqual(self.psql("SELECT 1").strip(), "1")

    def test_pgbench(self):
        self.run_client("pgbench", "-i", "-q", "-s", "1")
        for mode in ("simple", "extended", "prepared"):
            for clients in ("1", "64"):
                for script in (("-S",), ()):
                    with self.subTest(mode=mode, clients=clients, script=script):
                        report = self.run_client(
                            "pgbench", "-n", *script, "-M", mode, "-c", clients, "-j", "2", "-t", "20")
                        self.assertIn("number of failed transactions: 0 (0.000%)", report)

    def test_admin_lists_what_runs(self):
        self.assertEqual(sorted(self.cluster.admin("/api/v1/cells")["names"]), ["zone1", "zone2", "zone3"])
        self.assertEqual(self.cluster.admin("/api/v1/databases")["names"], ["postgres"])
        self.assertEqual(len(self.cluster.admin("/api/v1/gateways")["gateways"]), 3)
        self.assertEqual(len(self.cluster.admin("/api/v1/poolers")["poolers"]), 3)
        self.assertEqual(len(self.cluster.admin("/api/v1/orchs")["orchs"]), 3)

    def test_every_service_answers_its_pages(self):
        for default in (15000, 15100, 15200, 15300, 15400):
            for page in ("/live", "/ready", "/metrics", "/config", "/version"):
                with self.subTest(port=default, page=page):
                    status, body = self.cluster.http(self.cluster.port(default), page)
                    self.assertEqual(status, 200)
                    self.assertTrue(body)

    def test_status_says_running_and_a_dead_service_comes_back(self):
        self.assertIn("Cluster status: Running", self.cluster.cli("cluster", "status").stdout)
        gateway = next(self.state_files("multigateway"))
        pid = gateway["pid"]
        os.kill(pid, signal.SIGKILL)

        def replaced():
            now = next(s for s in self.state_files("multigateway") if s["id"] == gateway["id"])
            return now["pid"] != pid and now.get("restarts", 0) >= 1

        wait_until(replaced, 60, "a restart of the killed gateway")
        for zone in ZONES:
            wait_until(lambda: self.psql("SELECT 1", zone=zone), 60, f"zone{zone} after the restart")
        wait_until(lambda: "Cluster status: Running" in self.cluster.cli("cluster", "status").stdout, 60, "Running")

    def state_files(self, service):
        import json
        for path in sorted(self.cluster.root.rglob(f"{service}_*.json")):
            yield json.loads(path.read_text())


class Restart(unittest.TestCase):
    def test_a_second_start_finds_the_data(self):
        cluster = Cluster().init()
        try:
            cluster.start()
            with psycopg.connect(**cluster.gateway(1)) as connection:
                connection.execute("CREATE TABLE kept AS SELECT g FROM generate_series(1, 1000) g")
            cluster.stop()
            with self.assertRaises(psycopg.OperationalError):
                psycopg.connect(**cluster.gateway(1), connect_timeout=2)
            cluster.start()
            for zone in ZONES:
                with psycopg.connect(**cluster.gateway(zone)) as connection:
                    self.assertEqual(connection.execute("SELECT count(*) FROM kept").fetchone(), (1000,))
        except BaseException:
            print(cluster.logs())
            raise
        finally:
            cluster.destroy()


if __name__ == "__main__":
    unittest.main(verbosity=2)
