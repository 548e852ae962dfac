"""Whatever a client does ends at most its own session: garbage, messages cut anywhere, results never read, transactions left
open, backends terminated under it, gateways killed."""

import os
import pathlib
import random
import re
import signal
import struct
import sys
import threading
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from cluster import Cluster, wait_until  # noqa: E402
from wire import (  # noqa: E402
    COPY_DONE, FLUSH, PROTOCOL_30, SYNC, Wire, bind, cancel, close, copy_data, describe, execute, fields_of, int16,
    int32, message, parse, query, startup)

GATEWAY, LEADER = 15432, 25432
MEBI = 1 << 20


def resident_bytes(pid):
    text = pathlib.Path(f"/proc/{pid}/status").read_text()
    return int(re.search(r"VmRSS:\s+(\d+) kB", text).group(1)) * 1024


def errors_in(messages):
    return [fields_of(body) for kind, body in messages if kind == "E"]


class Robustness(unittest.TestCase):
    patience = 15

    @classmethod
    def setUpClass(cls):
        os.environ["MT_CONNPOOL_USER_RESERVED_INACTIVITY_TIMEOUT"] = "5s"
        cls.cluster = Cluster().init()
        try:
            cls.cluster.start()
            cls.leader = cls.find_leader()
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
    def find_leader(cls):
        """The zone whose PostgreSQL is the leader's."""
        for zone in (1, 2, 3):
            with Wire(port=cls.cluster.port(LEADER + zone - 1)) as wire:
                wire.login()
                if wire.value("SELECT pg_is_in_recovery()") == "f":
                    return zone
        raise AssertionError("no leader")

    def setUp(self):
        self.before = self.pids()
        self.bystander = self.client()
        self.bystander.run("SET application_name = 'bystander'")

    def tearDown(self):
        """Another's session has noticed nothing, no service has died, and everything is given back."""
        self.assertEqual(self.bystander.value("SHOW application_name"), "bystander")
        self.bystander.socket.close()
        for zone in (1, 2, 3):
            with self.client(zone) as wire:
                self.assertEqual(wire.value("SELECT 1"), "1")
        self.wait_for_quiet()
        self.assertEqual(self.pids(), self.before, "a service has died")

    def pids(self):
        return {(s["service"], s["id"]): (s["pid"], s["restarts"]) for s in self.cluster.services()}

    def client(self, zone=1, **more):
        wire = Wire(port=self.cluster.port(GATEWAY + zone - 1), timeout=more.pop("timeout", 20))
        self.addCleanup(wire.socket.close)
        wire.login(**more)
        return wire

    def raw(self, zone=1, timeout=20):
        return Wire(port=self.cluster.port(GATEWAY + zone - 1), timeout=timeout)

    def direct(self, sql):
        with Wire(port=self.cluster.port(LEADER + self.leader - 1)) as wire:
            wire.login(application_name="the test itself")
            return wire.value(sql)

    def wait_for_quiet(self):
        """No connection is lent or reserved, no transaction is open."""
        def quiet():
            _, page = self.cluster.http(self.cluster.port(15200 + self.leader - 1), "/")
            row = re.search(r"<td>postgres</td><td>(\d+)</td><td>(\d+)</td><td>(\d+)</td><td>(\d+)</td>", page)
            reserved = re.search(r"reserved (\d+)\)", page)
            busy = self.direct("SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend' AND state <> 'idle'"
                               " AND application_name <> 'the test itself' AND query !~ 'multigres'")
            if (row is None or row.group(3, 4) == ("0", "0")) and reserved.group(1) == "0" and busy == "0":
                return True
            raise AssertionError(f"{row and row.groups()} reserved {reserved.group(1)}, not idle {busy}")
        wait_until(quiet, self.patience, "all connections back")

    def pid_of(self, service, zone):
        return next(s["pid"] for s in self.cluster.services()
                    if s["service"] == service and s["metadata"].get("cell", "") == f"zone{zone}")

    # --- before a session

    def test_garbage_for_a_first_packet(self):
        seed = random.Random(1)
        firsts = [b"", b"\0", b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", b"\x16\x03\x01\x02\0\x01\0", b"\x16" * 600, b"\xff" * 64,
                  int32(0), int32(4), int32(7), int32(8) + int32(80877103), int32(8) + int32(1), int32(10001) + b"x" * 30,
                  int32(0x7fffffff) + b"y" * 50, int32(12) + int32(80877103) + b"abcd", int32(8) + int32(80877104),
                  int32(16) + int32(80877102) + int32(1) + int32(2), int32(12) + int32(80877102) + int32(1),
                  startup(2 << 16, user="postgres"), startup(4 << 16, user="x"), startup(PROTOCOL_30), startup(PROTOCOL_30, user=""),
                  int32(9) + int32(PROTOCOL_30) + b"\0", int32(14) + int32(PROTOCOL_30) + b"user\0x",
                  startup(PROTOCOL_30 + 99, user="postgres", **{"_pq_.x": "y"}), startup(PROTOCOL_30, user="p" * 9000),
                  startup(PROTOCOL_30, user="postgres", replication="nonsense"), startup(PROTOCOL_30, user="postgres", options="-x"),
                  startup(PROTOCOL_30, user="\xff\xfe", database="\x80")]
        firsts += [seed.randbytes(seed.randrange(1, 200)) for _ in range(100)]
        for first in firsts:
            with self.raw() as wire:
                wire.send(first)
                wire.vanish()
        for first in firsts[:26]:
            with self.raw(timeout=0.15) as wire:
                wire.send(first)
                try:
                    wire.to_the_end()
                except TimeoutError:
                    pass  # it may still become a packet
                except struct.error:
                    self.fail(f"no message in answer to {first!r}")

    def test_startup_packets_and_logins_cut_anywhere(self):
        packet = startup(user="postgres", database="postgres", application_name="cut")
        for size in range(len(packet) + 1):
            with self.raw() as wire:
                wire.send(packet[:size])
                (wire.vanish if size % 2 else wire.socket.close)()
        for answers in range(3):
            for _ in range(5):
                with self.raw() as wire:
                    wire.send(packet)
                    wire.scram(stop_after=answers)
                    wire.vanish()
        for user, password in (("postgres", "wrong"), ("nobody", "postgres"), ("", "x")):
            with self.raw() as wire:
                wire.send(startup(user=user, database="postgres"))
                if user:
                    wire.scram(user, password)
                last = wire.to_the_end()[-1]
                self.assertEqual((last[0], fields_of(last[1])["S"]), ("E", "FATAL"))
                self.assertEqual(fields_of(last[1])["C"], "28P01" if user else "28000")

    def test_garbage_within_the_login(self):
        bad = [message("Q", b"select 1\0"), message("p"), message("p", b"\0"), message("p", b"MD5\0" + int32(0)),
               message("p", b"SCRAM-SHA-256\0" + int32(1 << 30)),
               message("p", b"SCRAM-SHA-256\0" + int32(5) + b"n,,n="), message("p", b"x" * 900), message("Z", b"I"),
               message("p", b"SCRAM-SHA-256-PLUS\0" + int32(12) + b"n,,n=,r=abcd"), message("p", b"SCRAM-SHA-256\0" + int32(3) + b"y,,")]
        for first in bad:
            with self.raw() as wire:
                wire.send(startup(user="postgres", database="postgres"))
                wire.read()
                wire.send(first)
                messages = wire.to_the_end()
                self.assertTrue(messages, first)
                self.assertEqual(messages[-1][0], "E", first)
                self.assertEqual(fields_of(messages[-1][1])["S"], "FATAL")

    # --- within a session

    def test_messages_cut_anywhere(self):
        pieces = query("select pg_backend_pid(), 'cut here'")
        more = parse("select $1::int", "s") + bind([7], statement="s") + describe("P") + execute() + SYNC
        for whole in (pieces, more, query("begin") + query("insert into nosuch values (1)"), query("begin; select 1") + pieces):
            for size in range(1, len(whole)):
                with self.client() as wire:
                    wire.send(whole[:size])
                    (wire.vanish if size % 2 else wire.socket.close)()

    def test_messages_that_cannot_be(self):
        for bad in (message("y", b"x"), message("K", b"x"), message("Z", b"I")):
            with self.client() as wire:
                wire.send(bad)
                fatal = errors_in(wire.to_the_end())
                self.assertEqual([(e["S"], e["C"]) for e in fatal], [("FATAL", "08P01")], bad)
        # With an impossible length nothing more can be told, as in PostgreSQL.
        for bad in (b"Q\0\0\0\3", b"Q\x7f\xff\xff\xff", b"Q\xff\xff\xff\xff", b"S\0\1\0\0", b"\0" * 20, b"X\0\0\0\0",
                    b"d\xff\xff\xff\xff"):
            with self.client() as wire:
                wire.send(bad)
                wire.to_the_end()

    def test_malformed_bodies_are_survived(self):
        seed = random.Random(2)
        good = [parse("select $1::int", "a", (23,)), bind([7], statement="a"), describe("S", "a"), describe("P"), execute(),
                close("S", "a"), query("select 1"), message("F", int32(1598) + int16(0) + int16(0) + int16(0))]
        with self.client() as wire:
            for _ in range(600):
                body = bytearray(seed.choice(good))
                for _ in range(seed.randrange(1, 4)):
                    if len(body) == 5:
                        break
                    at = seed.randrange(5, len(body))
                    if seed.randrange(3):
                        body[at] = seed.choice((0, 1, 0xff, 0x80, ord("x")))
                    else:
                        del body[at:]
                kind = chr(body[0])
                wire.send(message(kind, bytes(body[5:])), SYNC)
                wire.until("Z")
                if kind in "QF":
                    wire.until("Z")
            self.assertEqual(wire.value("select 'alive'"), "alive")

    def test_random_bytes_after_login(self):
        seed = random.Random(3)
        kinds = b"QPBDECSHXFdcfpy\0\xff"
        for _ in range(150):
            with self.client(timeout=5) as wire:
                data = b""
                for _ in range(seed.randrange(1, 6)):
                    body = seed.randbytes(seed.randrange(0, 40))
                    size = len(body) + 4 if seed.randrange(5) else seed.randrange(0, 60)
                    data += bytes([seed.choice(kinds)]) + int32(size) + body
                try:
                    wire.send(data)
                    wire.socket.shutdown(1)
                    wire.to_the_end()
                except OSError:
                    pass

    def test_an_endless_message_ends_its_session(self):
        # Longer than any message may be: refused by its header alone.
        with self.client() as wire:
            wire.send(b"Q" + int32(0x3fffffff + 10) + b"select 1")
            self.assertEqual(wire.to_the_end(), [])
        # Allowed, but never finished.
        pid = self.pid_of("multigateway", 1)
        before = resident_bytes(pid)
        with self.client() as wire:
            wire.send(b"Q" + int32(900 * MEBI))
            for _ in range(100):
                wire.send(b"-" * MEBI)
                self.assertEqual(self.bystander.value("select 1"), "1") if _ % 20 == 0 else None
            wire.vanish()
        wait_until(lambda: resident_bytes(pid) < before + 50 * MEBI, 10, "the memory back")

    def test_a_result_that_nobody_reads_takes_bounded_memory(self):
        gateway, pooler = self.pid_of("multigateway", 1), self.pid_of("multipooler", self.leader)
        before = resident_bytes(gateway), resident_bytes(pooler)
        with self.client() as lazy, self.client() as extended:
            lazy.send(query("select repeat('x', 1000) from generate_series(1, 2000000)"))
            extended.send(parse("select repeat('x', 100000000)"), bind(), execute(), SYNC)
            end = time.monotonic() + 2
            while time.monotonic() < end:
                with self.client(2) as other:
                    self.assertEqual(other.value("select 1"), "1")
                self.assertEqual(self.bystander.value("select 1"), "1")
            grown = resident_bytes(gateway) - before[0], resident_bytes(pooler) - before[1]
            self.assertLess(max(grown), 64 * MEBI, grown)
            lazy.vanish()
            extended.vanish()

    def test_a_lazy_reader_gets_everything_in_the_end(self):
        with self.client() as wire:
            wire.send(query("select g, repeat('x', 1000) from generate_series(1, 30000) g"))
            time.sleep(0.5)  # the point of it: nothing is read while it comes
            messages = wire.until("Z")
            self.assertEqual(sum(kind == "D" for kind, _ in messages), 30000)
            self.assertEqual(messages[-2][1], b"SELECT 30000\0")

    def test_transactions_left_open_are_rolled_back(self):
        self.bystander.run("create table if not exists left_open (v int)")
        wires = []
        for i in range(40):
            wire = self.client(1 + i % 3)
            wire.run("begin")
            wire.run(f"insert into left_open values ({i})")
            wires.append(wire)
        for i, wire in enumerate(wires):
            if i % 4 == 0:
                wire.vanish()
            elif i % 4 == 1:
                wire.send(query("select pg_sleep(0.05)"))
                wire.vanish()
            elif i % 4 == 2:
                wire.send(query("insert into left_open values (1)")[:-3])
                wire.socket.close()
            else:
                wire.send(parse("insert into left_open values (2)"), bind(), execute())
                wire.socket.close()
        self.wait_for_quiet()
        self.assertEqual(self.bystander.value("select count(*) from left_open"), "0")

    def test_hundreds_that_vanish(self):
        def burst(zone):
            for i in range(70):
                wire = self.client(zone)
                wire.send(query("begin"), query("select 1"), *([query("select g from generate_series(1, 1000) g")] if i % 2 else []))
                if i % 3:
                    wire.until("Z")
                wire.vanish()
        threads = [threading.Thread(target=burst, args=(1 + i % 3,)) for i in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.wait_for_quiet()

    def test_vanishing_in_copy(self):
        self.bystander.run("create table if not exists copied (v int, t text)")
        for how in range(12):
            with self.client(1 + how % 3) as wire:
                if how % 4 == 0:
                    wire.run("begin")
                if how % 2:
                    wire.send(query("copy (select g, repeat('x', 1000) from generate_series(1, 200000) g) to stdout"))
                    wire.until("H")
                    if how % 4 == 1:
                        wire.until("d")
                else:
                    wire.send(query("copy copied from stdin"))
                    wire.until("G")
                    wire.send(*[copy_data(f"{i}\trow {i}\n") for i in range(100 * how)], copy_data("12\t3\n")[:9 - how % 5])
                (wire.vanish if how % 3 else wire.socket.close)()
        self.wait_for_quiet()
        self.assertEqual(self.bystander.value("select count(*) from copied"), "0")

    def test_copy_takes_other_messages_badly_but_alone(self):
        self.bystander.run("create table if not exists copied (v int, t text)")
        for bad in (query("select 1"), parse("select 1"), message("F", b""), message("p", b"x\0"), message("Z", b"I")):
            with self.client() as wire:
                wire.send(query("copy copied from stdin"))
                wire.until("G")
                wire.send(copy_data("1\tx\n"), bad, COPY_DONE)
                self.assertEqual(errors_in(wire.until("E"))[0]["C"], "08P01")
        self.wait_for_quiet()
        self.assertEqual(self.bystander.value("select count(*) from copied"), "0")

    # --- backends that go

    def test_terminated_idle_backends_are_not_noticed(self):
        wires = [self.client(1 + i % 3) for i in range(6)]
        threads = [threading.Thread(target=wire.run, args=("select pg_sleep(0.1)",)) for wire in wires]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.direct("select pg_terminate_backend(pid, 5000) from pg_stat_activity where state = 'idle' and usename = 'postgres'"
                    " and backend_type = 'client backend' and pid <> pg_backend_pid() and query ~ 'pg_sleep'")
        for wire in wires * 3:
            self.assertEqual(wire.value("select 1"), "1")
        for wire in wires:
            wire.socket.close()

    def test_a_terminated_active_backend_ends_its_statement(self):
        with self.client() as wire:
            wire.send(query("select pg_sleep(600) /* victim */"))
            self.terminate("victim")
            self.assertEqual(errors_in(wire.until("Z"))[0]["C"], "57P01")
            # The session was not the backend.
            wire.send(parse("select pg_sleep(600) /* victim */"), bind(), execute(), SYNC)
            self.terminate("victim")
            self.assertEqual(errors_in(wire.until("Z"))[0]["C"], "57P01")
            self.assertEqual(wire.value("select 1"), "1")

    def terminate(self, marker, function="pg_terminate_backend"):
        wait_until(lambda: self.direct(f"select {function}(pid) from pg_stat_activity where query ~ '{marker}'"
                                       " and pid <> pg_backend_pid() and state <> 'idle'") == "t", 10, "the victim")

    def test_a_terminated_reserved_backend_ends_its_transaction_and_not_the_session(self):
        for prepare, after in (("begin; select 1 as pinned", "select 1"), ("begin; select 1 as pinned", "commit"),
                               ("create temp table pinned (a int)", "select * from pinned"),
                               ("select pg_advisory_lock(1) /* pinned */", "select 1")):
            with self.client() as wire:
                wire.run(prepare)
                pid = wire.value("select pg_backend_pid()")
                self.assertEqual(self.direct(f"select pg_terminate_backend({pid}, 5000)"), "t")
                wire.send(query(after))
                messages = wire.until("Z")
                errors = errors_in(messages)
                self.assertEqual(len(errors), 1, (prepare, messages))
                self.assertIn(errors[0]["C"], ("57P01", "40001"), errors)
                wire.run("rollback")
                self.assertEqual(wire.value("select 2"), "2")

    def test_a_backend_terminated_in_copy(self):
        self.bystander.run("create table if not exists copied (v int, t text)")
        with self.client() as wire:
            wire.send(query("copy copied from stdin /* victim */"))
            wire.until("G")
            self.terminate("victim")
            try:
                for i in range(200):
                    wire.send(copy_data(f"{i}\t{'x' * 1000}\n"))
                wire.send(COPY_DONE)
                wire.send(query("select 1"))
            except ConnectionError:
                pass
            errors = errors_in(wire.until("E"))
            self.assertIn(errors[0]["C"], ("57P01", "40001"))
        with self.client() as wire:
            wire.send(query("copy (select repeat('x', 1000) from generate_series(1, 3000000)) to stdout /* victim */"))
            wire.until("d")
            self.terminate("victim")
            self.assertIn(errors_in(wire.until("E"))[0]["C"], ("57P01", "40001"))

    # --- cancels and timeouts

    def test_cancel_hits_the_right_statement_only(self):
        for zone, other in ((1, 1), (1, 2), (3, 1)):
            with self.client(zone) as wire, self.client(zone) as untouched:
                wire.send(query("select pg_sleep(20) /* to be cancelled */"))
                untouched.send(query("select pg_sleep(0.7)"))
                wait_until(lambda: self.direct("select count(*) from pg_stat_activity where query ~ 'be cancelled' and"
                                               " state = 'active' and pid <> pg_backend_pid()") == "1", 10, "it runs")
                wrong = bytes(b ^ 0xff for b in wire.key)
                for pid, key in ((wire.process_id, wrong), (wire.process_id ^ 1, wire.key), (0, wire.key),
                                 (0x7fffffff, wire.key), (wire.process_id, b""), (wire.process_id, wire.key + b"x" * 200)):
                    with self.raw(other) as canceller:
                        canceller.send(cancel(pid, key))
                        self.assertEqual(canceller.to_the_end(), [])
                with self.assertRaises(TimeoutError):
                    wire.socket.settimeout(0.2)
                    wire.read()
                wire.socket.settimeout(10)
                started = time.monotonic()
                with self.raw(other) as canceller:
                    canceller.send(cancel(wire.process_id, wire.key))
                    self.assertEqual(canceller.to_the_end(), [])
                self.assertEqual(errors_in(wire.until("Z"))[0]["C"], "57014")
                self.assertLess(time.monotonic() - started, 3)
                self.assertEqual(errors_in(untouched.until("Z")), [])
                self.assertEqual(wire.value("select 1"), "1")

    def test_cancel_ends_a_copy_that_waits_for_its_client(self):
        self.bystander.run("create table if not exists copied (v int, t text)")
        with self.client() as wire:
            wire.send(query("copy copied from stdin"))
            wire.until("G")
            with self.raw() as canceller:
                canceller.send(cancel(wire.process_id, wire.key))
            self.assertEqual(errors_in(wire.until("Z"))[0]["C"], "57014")
            self.assertEqual(wire.value("select 1"), "1")

    def test_statement_timeout(self):
        with self.client() as wire:
            wire.run("set statement_timeout = '200ms'")
            for messages in ([query("select pg_sleep(20)")], [parse("select pg_sleep(20)"), bind(), execute(), SYNC]):
                started = time.monotonic()
                wire.send(*messages)
                error = errors_in(wire.until("Z"))[0]
                self.assertEqual((error["C"], error["M"]), ("57014", "canceling statement due to statement timeout"))
                self.assertLess(time.monotonic() - started, 3)
            self.assertEqual(wire.value("select 1"), "1")
            wire.run("begin")
            self.assertEqual(errors_in(wire.run("select pg_sleep(20)"))[0]["C"], "57014")
            self.assertEqual(wire.run("select 1")[-1][1], b"E")
            wire.run("rollback")
            self.assertEqual(wire.value("select 1"), "1")

    def test_idle_session_timeout(self):
        with self.client() as idle, self.client() as busy, self.client() as pinned:
            for wire in (idle, busy, pinned):
                wire.run("set idle_session_timeout = '400ms'")
            pinned.run("begin")
            busy.run("select pg_sleep(0.6)")
            error = errors_in(idle.to_the_end())
            self.assertEqual([(e["S"], e["C"]) for e in error], [("FATAL", "57P05")])
            self.assertEqual(pinned.value("select 1"), "1")

    # --- gateways that go

    def replace_gateway(self, zone, sig):
        """Kills a zone's gateway and waits for the next one."""
        gateway = self.pid_of("multigateway", zone)
        os.kill(gateway, sig)
        return gateway

    def gateway_is_back(self, zone, old):
        def back():
            if self.pid_of("multigateway", zone) == old:
                return False
            with self.client(zone) as wire:
                return wire.value("select 1") == "1"
        wait_until(back, 30, "the next gateway")
        self.before = self.pids()

    def test_a_killed_gateway_takes_only_its_own_sessions(self):
        self.patience = 45  # what it held is given back when nobody has used it for a while
        self.bystander.run("create table if not exists killed (v int)")
        wires = [self.client(3) for _ in range(10)]
        for i, wire in enumerate(wires):
            if i % 2:
                wire.run("begin")
                wire.run("insert into killed values (1)")
            elif i % 4:
                wire.send(query("select pg_sleep(30)"))
        with self.client(1) as other:
            other.run("begin")
            other.run("insert into killed values (2)")
            old = self.replace_gateway(3, signal.SIGKILL)
            for wire in wires:
                wire.to_the_end()
            other.run("insert into killed values (3)")
            self.assertEqual(errors_in(other.run("commit")), [])
        self.gateway_is_back(3, old)
        self.assertEqual(self.bystander.value("select count(*) from killed"), "2")

    def test_a_gateway_that_is_asked_to_leave_lets_statements_finish(self):
        idle, running, pinned = (self.client(2) for _ in range(3))
        pinned.run("begin")
        pinned.run("select 1")
        running.send(query("select pg_sleep(1.5), 'finished'"))
        wait_until(lambda: self.direct("select count(*) from pg_stat_activity where query ~ 'finished' and"
                                       " state = 'active' and pid <> pg_backend_pid()") == "1", 10, "it runs")
        old = self.replace_gateway(2, signal.SIGTERM)
        self.assertEqual([e["C"] for e in errors_in(idle.to_the_end())], ["57P01"])
        self.assertEqual(pinned.value("select 2"), "2")
        self.assertEqual(pinned.run("commit")[0][1], b"COMMIT\0")
        self.assertEqual([e["C"] for e in errors_in(pinned.to_the_end())], ["57P01"])
        messages = running.to_the_end()
        self.assertIn("C", [kind for kind, _ in messages])
        self.assertEqual([e["C"] for e in errors_in(messages)], ["57P01"])
        self.gateway_is_back(2, old)

    # --- many at once

    def test_pipelines_with_errors(self):
        def run(seed):
            with self.client(1 + seed % 3) as wire:
                chance = random.Random(seed)
                for _ in range(15):
                    sent, expected = [], []
                    failed = False
                    for i in range(chance.randrange(1, 30)):
                        if chance.randrange(10) == 0:
                            sent += [parse("select 1/0"), bind(), execute()]
                            failed = True
                        else:
                            sent += [parse("select $1::int"), bind([i]), execute()]
                            if not failed:
                                expected.append(str(i))
                    wire.send(*sent, SYNC)
                    messages = wire.until("Z")
                    values = [body[6:].decode() for kind, body in messages if kind == "D"]
                    if (values, len(errors_in(messages)), messages[-1][1]) != (expected, int(failed), b"I"):
                        self.failures_seen.append((seed, values, expected, messages))
        self.in_parallel(run, 12)

    def in_parallel(self, run, count):
        self.failures_seen = []

        def guarded(i):
            try:
                run(i)
            except Exception as error:  # noqa: BLE001
                self.failures_seen.append((i, repr(error)))
        threads = [threading.Thread(target=guarded, args=(i,)) for i in range(count)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(self.failures_seen, [])

    def test_no_session_sees_anothers_settings(self):
        defaults = {name: self.bystander.value(f"show {name}") for name in ("work_mem", "extra_float_digits", "search_path")}

        def run(seed):
            chance = random.Random(seed)
            mine, before = dict(defaults), None
            with self.client(1 + seed % 3) as wire:
                for _ in range(25):
                    name = chance.choice(list(mine))
                    action = chance.randrange(8)
                    value = {"work_mem": f"{chance.randrange(64, 999)}kB", "extra_float_digits": str(chance.randrange(0, 4)),
                             "search_path": f"s{chance.randrange(99)}, public"}[name]
                    if action == 0 and before is None:
                        wire.run("begin")
                        before = dict(mine)
                    elif action == 1 and before is not None:
                        wire.run("rollback")
                        mine, before = before, None
                    elif action == 2 and before is not None:
                        wire.run("commit")
                        before = None
                    elif action == 3:
                        wire.run(f"reset {name}")
                        mine[name] = defaults[name]
                    elif action < 6:
                        wire.run(f"set {name} = {value if name == 'search_path' else repr(value)}")
                        mine[name] = value
                    seen = wire.value(f"select current_setting('{name}')" if action % 2 else f"show {name}")
                    if seen != mine[name]:
                        self.failures_seen.append((seed, name, seen, mine[name]))
        self.in_parallel(run, 64)

    def test_statements_of_one_name_in_many_sessions(self):
        def run(seed):
            with self.client(1 + seed % 3) as wire:
                for round_ in range(10):
                    if round_ % 5 == 0:
                        wire.send(close("S", "same"), parse(f"select {seed % 7}::int + $1::int", "same"), SYNC)
                        wire.until("Z")
                    wire.send(bind([round_], statement="same"), execute(), SYNC)
                    values = [body[6:].decode() for kind, body in wire.until("Z") if kind == "D"]
                    if values != [str(seed % 7 + round_)]:
                        self.failures_seen.append((seed, round_, values))
        self.in_parallel(run, 48)

    def test_zz_no_log_tells_of_a_broken_invariant(self):
        self.assertEqual(self.cluster.broken_invariants(), [])


if __name__ == "__main__":
    unittest.main(verbosity=2)
