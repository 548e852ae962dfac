"""A local cluster for a test: started by the multigres program on ports of its own, in a folder of its own."""

import json
import os
import pathlib
import re
import shutil
import socket
import subprocess
import tempfile
import time
import urllib.request

BIN = pathlib.Path(os.environ["MULTIGRES_BIN_DIR"])


def free_port_block(size, start=21000, stop=31000):
    """The first of `size` consecutive loopback ports that nobody listens on."""
    base = start + os.getpid() * 150 % (stop - start - size)
    for first in list(range(base, stop - size, 50)) + list(range(start, base, 50)):
        sockets = []
        try:
            for port in range(first, first + size):
                s = socket.socket()
                s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                s.bind(("127.0.0.1", port))
                sockets.append(s)
            return first
        except OSError:
            continue
        finally:
            for s in sockets:
                s.close()
    raise RuntimeError("no free ports")


def wait_until(condition, timeout, what):
    """Polls `condition` until it gives something true; its last exception or `what` tells why it never did."""
    end = time.monotonic() + timeout
    last = None
    while time.monotonic() < end:
        try:
            value = condition()
            if value:
                return value
        except Exception as error:  # noqa: BLE001
            last = error
        time.sleep(0.1)
    raise AssertionError(f"{what} not within {timeout} s" + (f": {last}" if last else ""))


class Cluster:
    def __init__(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="multigres-e2e-", dir="/tmp"))
        self.folder.chmod(0o755)
        self.config_path = self.folder / "config"
        self.root = self.folder / "root"
        self.config_path.mkdir()
        self.ports = {}

    def cli(self, *arguments, check=True, timeout=240):
        done = subprocess.run(
            [BIN / "multigres", *arguments, "--config-path", self.config_path],
            capture_output=True, text=True, timeout=timeout, stdin=subprocess.DEVNULL)
        if check and done.returncode != 0:
            raise AssertionError(f"multigres {' '.join(arguments)} exited {done.returncode}:\n{done.stdout}{done.stderr}")
        return done

    def init(self):
        """Writes the default configuration, then moves every port into a free block and the data into our folder."""
        self.cli("cluster", "init")
        path = self.config_path / "multigres.yaml"
        text = path.read_text()
        first = free_port_block(80)
        taken = {}

        def moved(match):
            port = int(match.group(2))
            if port == 0:
                return match.group(0)
            taken.setdefault(port, first + len(taken))
            return f"{match.group(1)}{taken[port]}"

        text = re.sub(r"((?:[a-z-]*port): )(\d+)", moved, text)
        text = re.sub(r"(root-working-dir: ).*", rf"\g<1>{self.root}", text)
        path.write_text(text)
        self.ports = taken
        return self

    def port(self, default):
        """Where the service went that listens on `default` in the shipped configuration."""
        return self.ports[default]

    def start(self):
        return self.cli("cluster", "start")

    def stop(self):
        return self.cli("cluster", "stop")

    def destroy(self):
        self.cli("cluster", "stop", "--clean", check=False)
        shutil.rmtree(self.folder, ignore_errors=True)

    def gateway(self, zone, replica=False, **more):
        """Connection parameters of a zone's gateway (1 to 3)."""
        port = self.port((15532 if replica else 15432) + zone - 1)
        return {"host": "127.0.0.1", "port": port, "user": "postgres", "password": "postgres", "dbname": "postgres", **more}

    def admin(self, path):
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port(15000)}{path}", timeout=10) as response:
            return json.load(response)

    def http(self, port, path):
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=10) as response:
            return response.status, response.read().decode()

    def services(self):
        """What each service's state file says: service, id, pid, restarts, metadata, ..."""
        found = [json.loads(path.read_text()) for path in sorted((self.root / "state").rglob("*_*.json"))]
        return [state for state in found if "service" in state]

    def restarts(self):
        """Services that died and were started again, with how often."""
        return {f"{s['service']} {s['id']}": s["restarts"] for s in self.services() if s.get("restarts", 0) > 0}

    def broken_invariants(self):
        """Lines of our services' logs that tell of a crash."""
        marks = re.compile(r"CHECK failed|check failed|Assertion|terminate called|AddressSanitizer|runtime error:|SIGSEGV|SIGABRT|\[BUG\]")
        lines = []
        for path in sorted((self.root / "logs").rglob("*.log")):
            lines += [f"{path.name}: {line}" for line in path.read_text(errors="replace").splitlines() if marks.search(line)]
        return lines

    def logs(self, lines=15):
        """The ends of all logs, for the report of a failure."""
        parts = []
        for path in sorted(self.root.rglob("*.log")):
            tail = path.read_text(errors="replace").splitlines()[-lines:]
            parts.append(f"--- {path.relative_to(self.root)}\n" + "\n".join(tail))
        return "\n".join(parts)
