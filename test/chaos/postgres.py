"""One PostgreSQL on one host: its processes, and SQL past everything (through its unix socket, so whatever is cut)."""

import os
import pathlib
import signal

import psycopg
from psycopg.rows import dict_row

from patience import wait_until


def wait_for_replay(leader, cells, timeout):
    """Until every member has all that the leader has by now."""
    position = leader.postgres.value("SELECT pg_current_wal_lsn()::text")
    for cell in cells:
        if cell is not leader:
            wait_until(lambda c=cell: c.postgres.value("SELECT pg_last_wal_replay_lsn() >= %s::pg_lsn", (position,)), timeout,
                       f"{cell.name} at {position}")


class Postgres:
    def __init__(self, host, data_dir, socket_dir, port, password="postgres"):
        self.host = host
        self.data_dir = pathlib.Path(data_dir)
        self.socket_dir = pathlib.Path(socket_dir)
        self.port = port
        self.password = password

    def connect(self, timeout_s=5):
        options = f"-c statement_timeout={timeout_s * 1000}"
        return psycopg.connect(host=str(self.socket_dir), port=self.port, user="postgres", password=self.password,
                               dbname="postgres", connect_timeout=timeout_s, autocommit=True, row_factory=dict_row,
                               application_name="chaos checker", options=options)

    def query(self, sql, parameters=None, timeout_s=5):
        with self.connect(timeout_s) as connection:
            cursor = connection.execute(sql, parameters)
            return cursor.fetchall() if cursor.description else []

    def value(self, sql, parameters=None, timeout_s=5):
        row = self.query(sql, parameters, timeout_s)[0]
        return next(iter(row.values()))

    def postmaster(self):
        """Its pid, or None if there is none."""
        try:
            pid = int((self.data_dir / "postmaster.pid").read_text().split("\n", 1)[0])
            return pid if os.readlink(f"/proc/{pid}/cwd") == str(self.data_dir) else None
        except (OSError, ValueError):
            return None

    def processes(self):
        """Every process of this server, orphans included."""
        found = []
        for entry in os.scandir("/proc"):
            if entry.name.isdigit():
                try:
                    if os.readlink(f"{entry.path}/cwd") == str(self.data_dir):
                        found.append(int(entry.name))
                except OSError:
                    pass
        return found

    def backends(self):
        """Children that serve a client's statement (and not the pooler's own sessions), by their titles."""
        found = []
        for pid in self.processes():
            try:
                title = pathlib.Path(f"/proc/{pid}/cmdline").read_bytes().rstrip(b"\0 ").decode(errors="replace")
            except OSError:
                continue
            if title.startswith("postgres: ") and title.endswith((" INSERT", " SELECT", " COMMIT", " BIND", " idle")):
                if "walsender" not in title:
                    found.append(pid)
        return found

    def kill_postmaster(self):
        self._signal([self.postmaster()], signal.SIGKILL)

    def kill_all(self):
        """The postmaster first, so that it can't replace anybody."""
        self._signal([self.postmaster()], signal.SIGKILL)
        self._signal(self.processes(), signal.SIGKILL)

    def freeze(self):
        """Stops the postmaster, then its children, until there is none left that runs."""
        stopped = set()
        self._signal([self.postmaster()], signal.SIGSTOP)
        while fresh := set(self.processes()) - stopped:
            self._signal(fresh, signal.SIGSTOP)
            stopped |= fresh

    def thaw(self):
        self._signal(self.processes(), signal.SIGCONT)

    @staticmethod
    def _signal(pids, number):
        for pid in pids:
            if pid is not None:
                try:
                    os.kill(pid, number)
                except ProcessLookupError:
                    pass
