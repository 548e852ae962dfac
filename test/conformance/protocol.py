"""The same messages to a gateway and straight to the leader's PostgreSQL: every message that comes back must be the same."""

import difflib
import os
import pathlib
import sys
import unittest

HERE = pathlib.Path(__file__).parent
sys.path.insert(0, str(HERE.parent / "e2e"))
sys.path.insert(0, str(HERE))
from cluster import Cluster  # noqa: E402
from scripts import SCRIPTS  # noqa: E402
from transcript import Transcript, loosened  # noqa: E402
from wire import Closed, Wire  # noqa: E402


class Protocol(unittest.TestCase):
    maxDiff = None

    @classmethod
    def setUpClass(cls):
        cls.cluster = None
        if os.environ.get("MULTIGRES_TEST_PORTS"):
            # Of a cluster that runs already: gateway's, leader's.
            cls.gateway_port, cls.direct_port = map(int, os.environ["MULTIGRES_TEST_PORTS"].split(","))
            return
        cls.cluster = Cluster().init()
        try:
            cls.cluster.start()
            cls.gateway_port = cls.cluster.port(15432)
            cls.direct_port = cls.find_leader()
        except BaseException:
            print(cls.cluster.logs())
            cls.cluster.destroy()
            raise

    @classmethod
    def tearDownClass(cls):
        if cls.cluster is not None:
            cls.cluster.destroy()

    @classmethod
    def find_leader(cls):
        for default in (25432, 25433, 25434):
            with Wire(port=cls.cluster.port(default)) as wire:
                wire.login()
                if wire.value("SELECT pg_is_in_recovery()") == "f":
                    return cls.cluster.port(default)
        raise AssertionError("no leader")

    def fresh_schema(self):
        with Wire(port=self.direct_port) as wire:
            wire.login()
            wire.value("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE backend_xmin IS NOT NULL"
                       " AND state LIKE 'idle in%'")
            wire.value("DROP SCHEMA public CASCADE; CREATE SCHEMA public")

    def record(self, port, script):
        self.fresh_schema()
        transcript = Transcript()
        with Wire(port=port, timeout=15) as wire:
            login = wire.login(**script.parameters)
            if script.show_login:
                for kind, body in sorted(login):
                    if kind == "S":
                        transcript.add(kind, body)
            try:
                for step in script.steps:
                    wire.send(*step.messages)
                    transcript.lines.append(f"> {step.label}")
                    kind = ""
                    while kind not in step.until:
                        kind, body = wire.read()
                        transcript.add(kind, body)
            except Closed:
                transcript.lines.append("closed")
            except TimeoutError:
                transcript.lines.append("silence")
        return transcript.lines

    def compare(self, script):
        direct = loosened(self.record(self.direct_port, script))
        gateway = loosened(self.record(self.gateway_port, script))
        if direct != gateway:
            self.fail("\n".join(difflib.unified_diff(direct, gateway, "PostgreSQL", "gateway", lineterm="", n=3)))

    def test_no_service_has_died(self):
        if self.cluster is not None:
            self.assertIn("Cluster status: Running", self.cluster.cli("cluster", "status").stdout)
            self.assertEqual(self.cluster.restarts(), {})


def add_tests():
    for script in SCRIPTS:
        def test(self, script=script):
            self.compare(script)
        setattr(Protocol, f"test_{script.name}", unittest.expectedFailure(test) if script.gap else test)


add_tests()

if __name__ == "__main__":
    unittest.main(verbosity=2)
