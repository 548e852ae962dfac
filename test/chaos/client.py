"""A PostgreSQL client on asyncio that costs little and hides nothing: each statement is acknowledged, refused, or its outcome is unknown."""

import asyncio
import base64
import hashlib
import hmac
import os
import pathlib
import socket
import struct
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent / "e2e"))
from wire import PROTOCOL_30, SYNC, bind, cstring, execute, fields_of, int32, message, parse, query, startup  # noqa: E402

REFUSED, UNKNOWN = "refused", "unknown"
CANCELLED_WAIT = "synchronous replication"


class Lost(Exception):
    """The connection is gone, or never came to be; what was in flight may have run."""


class ServerError(Exception):
    def __init__(self, fields):
        super().__init__(f"{fields.get('C')} {fields.get('M')}")
        self.code = fields.get("C", "XX000")


def outcome_of(error):
    """What a client may conclude from an error about whether its statement ran."""
    if isinstance(error, ServerError):
        code = error.code
        vague = code[:2] in ("08", "58", "XX") or code in ("40003", "57P01", "57P02", "57P05")
        return UNKNOWN if vague else REFUSED
    return UNKNOWN


def kind_of(error):
    """A short name for tables."""
    return error.code if isinstance(error, ServerError) else str(error)


class Connection(asyncio.Protocol):
    """One session. One statement at a time; run() gives its rows as text."""

    def __init__(self):
        self.buffer = bytearray()
        self.incoming = []
        self.waiter = None
        self.end = None
        self.parameters = {}
        self.transport = None

    @classmethod
    async def open(cls, host, port, timeout, user="postgres", password="postgres", database="postgres"):
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(timeout):
                _, self = await loop.create_connection(cls, host, port)
        except (OSError, TimeoutError) as error:
            raise Lost("connect timeout" if isinstance(error, TimeoutError) else "connect refused") from error
        try:
            async with asyncio.timeout(timeout):
                await self._login(user, password, database)
        except TimeoutError as error:
            self.abort()
            raise Lost("login timeout") from error
        except BaseException:
            self.abort()
            raise
        return self

    async def run(self, sql, timeout):
        """One simple query."""
        return await self._exchange(query(sql), timeout)

    async def run_bound(self, sql, values, timeout):
        """One extended query in one packet."""
        return await self._exchange(parse(sql) + bind(values) + execute() + SYNC, timeout)

    def abort(self):
        if self.transport is not None:
            self.transport.abort()

    @property
    def open_still(self):
        return self.end is None

    # --- asyncio.Protocol

    def connection_made(self, transport):
        self.transport = transport
        transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def connection_lost(self, error):
        self.end = self.end or "connection lost"
        self._wake()

    def data_received(self, data):
        self.buffer += data
        at = 0
        size = len(self.buffer)
        while size - at >= 5:
            length = 1 + struct.unpack_from("!I", self.buffer, at + 1)[0]
            if size - at < length:
                break
            self.incoming.append((self.buffer[at], bytes(self.buffer[at + 5:at + length])))
            at += length
        if at:
            del self.buffer[:at]
            self._wake()

    # --- within

    def _wake(self):
        if self.waiter is not None and not self.waiter.done():
            self.waiter.set_result(None)

    async def _read(self):
        while not self.incoming:
            if self.end:
                raise Lost(self.end)
            self.waiter = asyncio.get_running_loop().create_future()
            await self.waiter
        return self.incoming.pop(0)

    async def _exchange(self, packet, timeout):
        if self.end:
            raise Lost(self.end)
        self.transport.write(packet)
        try:
            async with asyncio.timeout(timeout):
                return await self._answer()
        except TimeoutError as error:
            self.end = "client timeout"
            self.abort()
            raise Lost(self.end) from error

    async def _answer(self):
        rows, failure, tag = [], None, None
        while True:
            try:
                kind, body = await self._read()
            except Lost:
                if failure is not None:
                    raise failure from None
                raise
            if kind == 0x44:  # D
                width = struct.unpack_from("!i", body, 2)[0]
                rows.append(None if width < 0 else body[6:6 + width].decode())
            elif kind == 0x43:  # C
                tag = body[:-1].decode()
            elif kind == 0x45:  # E
                failure = failure or ServerError(fields_of(body))
            elif kind == 0x4E:  # N
                # The server committed here and gave up waiting for the others: no acknowledgement, whatever comes next.
                if CANCELLED_WAIT in fields_of(body).get("M", ""):
                    failure = failure or ServerError({"C": "08W01", "M": "acknowledged with a cancelled sync wait"})
            elif kind == 0x53:  # S
                name, value = body.split(b"\0")[:2]
                self.parameters[name.decode()] = value.decode()
            elif kind == 0x5A:  # Z
                if failure is not None:
                    raise failure
                return Answer(rows, tag)

    async def _login(self, user, password, database):
        self.transport.write(startup(PROTOCOL_30, user=user, database=database, application_name="chaos"))
        bare = f"n=,r={base64.b64encode(os.urandom(12)).decode()}"
        await self._authentication(10)
        first = ("n,," + bare).encode()
        self.transport.write(message("p", cstring("SCRAM-SHA-256") + int32(len(first)) + first))
        server_first = (await self._authentication(11)).decode()
        self.transport.write(message("p", scram_final(bare, server_first, password).encode()))
        await self._authentication(12)
        await self._authentication(0)
        await self._answer()

    async def _authentication(self, expected):
        kind, body = await self._read()
        if kind == 0x45:
            raise ServerError(fields_of(body))
        found = struct.unpack("!I", body[:4])[0]
        if kind != 0x52 or found != expected:
            raise Lost(f"no authentication message {expected}")
        return body[4:]


class Answer:
    __slots__ = ("rows", "tag")

    def __init__(self, rows, tag):
        self.rows = rows
        self.tag = tag

    @property
    def value(self):
        return self.rows[0] if self.rows else None


def scram_final(bare, server_first, password):
    """The client's last message of RFC 5802 (the server's signature isn't looked at)."""
    parts = dict(part.split("=", 1) for part in server_first.split(","))
    salted = hashlib.pbkdf2_hmac("sha256", password.encode(), base64.b64decode(parts["s"]), int(parts["i"]))
    client_key = hmac.digest(salted, b"Client Key", "sha256")
    final = f"c=biws,r={parts['r']}"
    signature = hmac.digest(hashlib.sha256(client_key).digest(), f"{bare},{server_first},{final}".encode(), "sha256")
    proof = base64.b64encode(bytes(a ^ b for a, b in zip(client_key, signature))).decode()
    return f"{final},p={proof}"
