"""The clients of one run: writers, transactions, readers, idle sessions. A process of its own, on the clients' host.

    load.py CONFIG.json RESULT_PREFIX

Prints "ready" once everybody is connected; ends on end of input; then RESULT_PREFIX.json says what became of every statement, and
RESULT_PREFIX.acks holds a pair of doubles (sent, acknowledged; CLOCK_MONOTONIC) for each acknowledged write. While it runs the first
24 bytes of RESULT_PREFIX.progress are: writes acknowledged (uint64), when the last one was sent and when acknowledged (double)."""

import array
import asyncio
import collections
import json
import mmap
import pathlib
import struct
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from client import REFUSED, UNKNOWN, Connection, Lost, ServerError, kind_of, outcome_of  # noqa: E402

INSERT = "INSERT INTO chaos_writes (run, writer, seq) VALUES ($1::int, $2::int, $3::bigint)"
RECONNECT_S = 0.01
MAX_STALE_KEPT = 50


class Progress:
    """Shared with the harness by a file; and the times of all acknowledgements."""

    def __init__(self, prefix):
        self.acks = array.array("d")
        self.path = prefix + ".acks"
        with open(prefix + ".progress", "w+b") as file:
            file.write(bytes(24))
            file.flush()
            self.shared = mmap.mmap(file.fileno(), 24)
        self.count = 0

    def acknowledged(self, sent, now):
        self.acks.append(sent)
        self.acks.append(now)
        self.count += 1
        struct.pack_into("=Qdd", self.shared, 0, self.count, sent, now)

    def save(self):
        with open(self.path, "wb") as file:
            self.acks.tofile(file)


class Client:
    """Whoever has a session: opens it at one of the targets, its own first, and counts what goes wrong."""

    def __init__(self, load, number):
        self.load = load
        self.number = number
        targets = load.config["targets"]
        self.targets = targets[number % len(targets):] + targets[:number % len(targets)]
        self.connection = None
        self.address = None  # of the gateway that it is or was connected to
        self.errors = collections.Counter()
        self.failures = []  # (when, outcome, kind, text, gateway)

    def failed(self, error):
        outcome = outcome_of(error)
        self.errors[f"{outcome}: {kind_of(error)}"] += 1
        self.failures.append((time.monotonic(), outcome, kind_of(error), str(error), self.address))
        return outcome

    async def connect(self):
        """Until it works or the load ends: then False. An error of the login itself counts like a lost session."""
        turn = 0
        while not self.load.over:
            host, port = self.targets[turn % len(self.targets)]
            turn += 1
            self.address = host
            try:
                self.connection = await Connection.open(host, port, self.load.config["connect_timeout"])
                if self.load.config["only_primary"] and self.connection.parameters.get("in_hot_standby") == "on":
                    self.connection.abort()
                    continue
                return True
            except (Lost, ServerError) as error:
                self.errors["connect: " + kind_of(error)] += 1
                await asyncio.sleep(RECONNECT_S)
        return False

    async def session(self):
        return (self.connection is not None and self.connection.open_still) or await self.connect()

    def close(self):
        if self.connection is not None:
            self.connection.abort()


class Writer(Client):
    """One INSERT after the other, each with a number of its own, never the same one twice."""

    def __init__(self, load, number):
        super().__init__(load, number)
        self.seq = 0
        self.acknowledged = 0  # the highest
        self.outcomes = {REFUSED: [], UNKNOWN: []}
        self.longest_wait = 0.0

    async def run(self):
        timeout = self.load.config["statement_timeout"]
        pause = self.load.config["pause"]
        while not self.load.over:
            if not await self.session():
                return
            self.seq += 1
            sent = time.monotonic()
            try:
                await self.write(self.seq, timeout)
                now = time.monotonic()
                self.longest_wait = max(self.longest_wait, now - sent)
                self.acknowledged = self.seq
                self.load.progress.acknowledged(sent, now)
            except (Lost, ServerError) as error:
                outcome = self.failed(error)
                self.outcomes[outcome].append(self.seq)
                await asyncio.sleep(RECONNECT_S if outcome == REFUSED else 0)
            if pause:
                await asyncio.sleep(pause)

    async def write(self, seq, timeout):
        run = self.load.config["run"]
        if self.number % 2:
            await self.connection.run_bound(INSERT, (run, self.number, seq), timeout)
        else:
            await self.connection.run(
                f"INSERT INTO chaos_writes (run, writer, seq) VALUES ({run}, {self.number}, {seq})", timeout)

    def result(self):
        return {"writer": self.number, "last": self.seq, "refused": self.outcomes[REFUSED], "unknown": self.outcomes[UNKNOWN],
                "transactional": False, "errors": self.errors, "failures": self.failures, "longest_wait": self.longest_wait}


class Transactor(Writer):
    """Two rows in one transaction: seq and -seq, both or neither."""

    async def write(self, seq, timeout):
        run = self.load.config["run"]
        connection = self.connection
        try:
            for sql in ("BEGIN", *(f"INSERT INTO chaos_writes (run, writer, seq) VALUES ({run}, {self.number}, {s})"
                                   for s in (seq, -seq))):
                await connection.run(sql, timeout)
        except Lost as error:
            # COMMIT was never sent.
            raise ServerError({"C": "before COMMIT", "M": str(error)}) from error
        except ServerError as error:
            try:
                await connection.run("ROLLBACK", timeout)
            except (Lost, ServerError):
                connection.abort()
            raise ServerError({"C": "before COMMIT " + error.code, "M": str(error)}) from error
        answer = await connection.run("COMMIT", timeout)
        if answer.tag != "COMMIT":
            raise ServerError({"C": "40000", "M": f"COMMIT answered {answer.tag}"})
        await asyncio.sleep(0.005)

    def result(self):
        return {**super().result(), "transactional": True}


class Reader(Client):
    """Reads the highest number of each writer: never below what was acknowledged before the read was sent, nor below what it saw."""

    def __init__(self, load, number):
        super().__init__(load, number)
        self.seen = {}
        self.stale = []
        self.reads = 0

    async def run(self):
        run, timeout = self.load.config["run"], self.load.config["statement_timeout"]
        while not self.load.over:
            for writer in self.load.writers:
                if self.load.over or not await self.session():
                    return
                least = max(writer.acknowledged, self.seen.get(writer.number, 0))
                try:
                    answer = await self.connection.run(
                        f"SELECT max(seq) FROM chaos_writes WHERE run = {run} AND writer = {writer.number}", timeout)
                except (Lost, ServerError) as error:
                    self.failed(error)
                    await asyncio.sleep(RECONNECT_S)
                    continue
                found = int(answer.value or 0)
                self.reads += 1
                if found < least and len(self.stale) < MAX_STALE_KEPT:
                    self.stale.append((time.monotonic(), writer.number, least, found))
                self.seen[writer.number] = max(found, self.seen.get(writer.number, 0))
                await asyncio.sleep(0.005)

    def result(self):
        return {"reader": self.number, "reads": self.reads, "stale": self.stale, "seen": list(self.seen.items()),
                "errors": self.errors, "failures": self.failures}


class Idler(Client):
    """A session with a setting of its own that says nothing until the end, and must then be what it was."""

    async def run(self):
        if await self.connect():
            await self.connection.run(f"SET application_name = 'idle {self.number}'", self.load.config["statement_timeout"])

    async def verdict(self):
        if self.connection is None or not self.connection.open_still:
            return "lost"
        try:
            answer = await self.connection.run("SHOW application_name", self.load.config["statement_timeout"])
        except (Lost, ServerError) as error:
            return f"lost: {kind_of(error)}"
        return "alive" if answer.value == f"idle {self.number}" else f"changed: {answer.value}"


class Load:
    def __init__(self, config, prefix):
        self.config = config
        self.prefix = prefix
        self.over = False
        self.progress = Progress(prefix)
        self.writers = [Writer(self, n) for n in range(config["writers"])]
        self.writers += [Transactor(self, len(self.writers) + n) for n in range(config["transactions"])]
        self.readers = [Reader(self, n) for n in range(config["readers"])]
        self.idlers = [Idler(self, n) for n in range(config["idle"])]

    async def run(self):
        everybody = [*self.writers, *self.readers]
        await asyncio.gather(*(client.connect() for client in everybody), *(idler.run() for idler in self.idlers))
        tasks = [asyncio.create_task(client.run()) for client in everybody]
        print("ready", flush=True)
        await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
        self.over = True
        await asyncio.gather(*tasks)
        result = {"writers": [writer.result() for writer in self.writers],
                  "readers": [reader.result() for reader in self.readers],
                  "idle": [[idler.targets[0][0], await idler.verdict()] for idler in self.idlers]}
        for client in (*everybody, *self.idlers):
            client.close()
        pathlib.Path(self.prefix + ".json").write_text(json.dumps(result))
        self.progress.save()


def main():
    config = json.loads(pathlib.Path(sys.argv[1]).read_text())
    asyncio.run(Load(config, sys.argv[2]).run())


if __name__ == "__main__":
    main()
