"""Services and who brings them back: as the supervisor of `multigres cluster start` does, with full jitter."""

import os
import random
import signal
import subprocess
import threading
import time

BACKOFF_BASE_S = 0.5
BACKOFF_MAX_S = 30.0
STABLE_AFTER_S = 60.0


class Service:
    """One program on one host. `held` = dead on purpose: not brought back until release()."""

    def __init__(self, name, host, argv, environment, account):
        self.name = name
        self.host = host
        self.argv = argv
        self.environment = environment
        self.account = account
        self.log = host.folder / "logs" / f"{name}.log"
        self.process = None
        self.held = True
        self.attempts = 0
        self.restarts = 0
        self.started_at = 0.0
        self.next_start = 0.0

    @property
    def pid(self):
        return self.process.pid

    @property
    def alive(self):
        return self.process is not None and self.process.poll() is None

    def spawn(self):
        self.log.parent.mkdir(exist_ok=True)
        environment = {k: v for k, v in os.environ.items() if not k.startswith(("PG", "POSTGRES_", "MT_", "LD_"))}
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(
                self.host.command(self.argv, self.account), stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd="/",
                env={**environment, **self.environment}, start_new_session=True)
        self.started_at = time.monotonic()


class Supervisor:
    """Watches services in a thread of its own. All calls are thread-safe."""

    def __init__(self):
        self.lock = threading.RLock()
        self.services = []
        self.over = threading.Event()
        self.thread = threading.Thread(target=self._watch, daemon=True)
        self.thread.start()

    def start(self, service):
        with self.lock:
            if service not in self.services:
                self.services.append(service)
            service.held = False
            service.attempts = 0
            if not service.alive:
                service.spawn()
        return service

    def kill(self, service, number=signal.SIGKILL, hold=False):
        """Sends a signal; with `hold` the service stays dead until start()."""
        with self.lock:
            service.held = service.held or hold
            if service.alive:
                os.kill(service.pid, number)

    def hold(self, services):
        with self.lock:
            for service in services:
                service.held = True

    def forgive(self):
        """Forgets earlier ends, so that the next one is mended as soon as the first was."""
        with self.lock:
            for service in self.services:
                service.attempts = 0

    def all_alive(self):
        with self.lock:
            return all(service.alive for service in self.services if not service.held)

    def _watch(self):
        while not self.over.wait(0.02):
            with self.lock:
                for service in self.services:
                    self._look_at(service, time.monotonic())

    def _look_at(self, service, now):
        if service.held or service.alive:
            return
        if service.next_start < service.started_at:
            if now - service.started_at >= STABLE_AFTER_S:
                service.attempts = 0
            limit = min(BACKOFF_MAX_S, BACKOFF_BASE_S * 2 ** service.attempts)
            service.attempts += 1
            service.next_start = now + random.uniform(0, limit)
        if now >= service.next_start:
            service.restarts += 1
            service.spawn()

    def close(self):
        """Ends every service for good."""
        self.over.set()
        self.thread.join()
        for number, patience in ((signal.SIGTERM, 8.0), (signal.SIGKILL, 8.0)):
            for service in self.services:
                service.held = True
                if service.alive:
                    os.kill(service.pid, signal.SIGCONT)
                    os.kill(service.pid, number)
            deadline = time.monotonic() + patience
            while time.monotonic() < deadline and any(service.alive for service in self.services):
                time.sleep(0.02)
