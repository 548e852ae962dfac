"""PostgreSQL's wire protocol by hand: for what no driver would ever send, and to see each message as it comes."""

import base64
import hashlib
import hmac
import os
import socket
import struct

PROTOCOL_30 = 3 << 16


class Closed(Exception):
    """The other side has closed the connection."""


def int16(value):
    return struct.pack("!H", value & 0xFFFF)


def int32(value):
    return struct.pack("!I", value & 0xFFFFFFFF)


def cstring(text):
    return (text if isinstance(text, bytes) else text.encode()) + b"\0"


def message(kind, body=b""):
    return kind.encode() + int32(len(body) + 4) + body


def startup(version=PROTOCOL_30, **parameters):
    body = int32(version) + b"".join(cstring(k) + cstring(v) for k, v in parameters.items()) + b"\0"
    return int32(len(body) + 4) + body


def cancel(process_id, key):
    body = int32(80877102) + int32(process_id) + key
    return int32(len(body) + 4) + body


def query(sql):
    return message("Q", cstring(sql))


def parse(sql, name="", types=()):
    return message("P", cstring(name) + cstring(sql) + int16(len(types)) + b"".join(int32(t) for t in types))


def bind(values=(), portal="", statement="", formats=(), result_formats=()):
    body = cstring(portal) + cstring(statement)
    body += int16(len(formats)) + b"".join(int16(f) for f in formats)
    body += int16(len(values))
    for value in values:
        if value is None:
            body += int32(-1)
        else:
            data = value if isinstance(value, bytes) else str(value).encode()
            body += int32(len(data)) + data
    return message("B", body + int16(len(result_formats)) + b"".join(int16(f) for f in result_formats))


def describe(kind, name=""):
    return message("D", kind.encode() + cstring(name))


def execute(portal="", rows=0):
    return message("E", cstring(portal) + int32(rows))


def close(kind, name=""):
    return message("C", kind.encode() + cstring(name))


FLUSH = message("H")
SYNC = message("S")
TERMINATE = message("X")
COPY_DONE = message("c")


def copy_data(data):
    return message("d", data if isinstance(data, bytes) else data.encode())


def copy_fail(reason):
    return message("f", cstring(reason))


def fields_of(body):
    """The fields of an ErrorResponse or a NoticeResponse by their letters."""
    fields = {}
    for part in body.split(b"\0"):
        if part:
            fields[chr(part[0])] = part[1:].decode(errors="replace")
    return fields


class Wire:
    """One connection. Reads give (type, body); Closed once the other side has closed."""

    def __init__(self, host="127.0.0.1", port=5432, timeout=20):
        self.socket = socket.create_connection((host, port), timeout)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.buffer = bytearray()
        self.parameters = {}
        self.process_id = 0
        self.key = b""

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        self.socket.close()

    def send(self, *messages):
        self.socket.sendall(b"".join(messages))

    def vanish(self):
        """Goes without a word; with a reset if anything is unread."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()

    def more(self):
        try:
            data = self.socket.recv(1 << 18)
        except ConnectionError as error:
            raise Closed(str(error)) from error
        if not data:
            raise Closed("end of stream")
        self.buffer += data

    def read(self):
        while len(self.buffer) < 5:
            self.more()
        size = struct.unpack_from("!I", self.buffer, 1)[0]
        while len(self.buffer) < 1 + size:
            self.more()
        kind, body = chr(self.buffer[0]), bytes(self.buffer[5:1 + size])
        del self.buffer[:1 + size]
        return kind, body

    def until(self, *kinds):
        """Every message up to the first of one of these types, that one included."""
        messages = []
        while True:
            messages.append(self.read())
            if messages[-1][0] in kinds:
                return messages

    def to_the_end(self):
        """Every message until the other side closes."""
        messages = []
        try:
            while True:
                messages.append(self.read())
        except Closed:
            return messages

    def scram(self, user="postgres", password="postgres", stop_after=99):
        """The exchange after the startup packet; stops after that many messages of ours."""
        kind, body = self.read()
        if kind != "R" or struct.unpack("!I", body[:4])[0] != 10:
            raise AssertionError(f"no SASL request but {kind} {body!r}")
        if stop_after < 1:
            return
        nonce = base64.b64encode(os.urandom(12)).decode()
        bare = f"n=,r={nonce}"
        first = ("n,," + bare).encode()
        self.send(message("p", cstring("SCRAM-SHA-256") + int32(len(first)) + first))
        if stop_after < 2:
            return
        kind, body = self.read()
        if kind != "R":
            raise AssertionError(f"{kind} {fields_of(body)}")
        server_first = body[4:].decode()
        parts = dict(p.split("=", 1) for p in server_first.split(","))
        salted = hashlib.pbkdf2_hmac("sha256", password.encode(), base64.b64decode(parts["s"]), int(parts["i"]))
        client_key = hmac.digest(salted, b"Client Key", "sha256")
        final = f"c=biws,r={parts['r']}"
        signed = f"{bare},{server_first},{final}".encode()
        signature = hmac.digest(hashlib.sha256(client_key).digest(), signed, "sha256")
        proof = base64.b64encode(bytes(a ^ b for a, b in zip(client_key, signature))).decode()
        self.send(message("p", f"{final},p={proof}".encode()))

    def login(self, user="postgres", password="postgres", database="postgres", version=PROTOCOL_30, **parameters):
        """Everything up to the first ReadyForQuery; gives what came after the exchange."""
        self.send(startup(version, user=user, database=database, **parameters))
        self.scram(user, password)
        messages = self.until("Z", "E")
        for kind, body in messages:
            if kind == "S":
                name, value = body.split(b"\0")[:2]
                self.parameters[name.decode()] = value.decode()
            elif kind == "K":
                self.process_id, self.key = struct.unpack("!I", body[:4])[0], body[4:]
        if messages[-1][0] == "E":
            raise AssertionError(f"refused: {fields_of(messages[-1][1])}")
        return messages

    def run(self, sql):
        """One simple query; its messages up to ReadyForQuery."""
        self.send(query(sql))
        return self.until("Z")

    def value(self, sql):
        """The first column of the first row."""
        for kind, body in self.run(sql):
            if kind == "E":
                raise AssertionError(f"{sql}: {fields_of(body)}")
            if kind == "D":
                size = struct.unpack_from("!i", body, 2)[0]
                return None if size < 0 else body[6:6 + size].decode()
        return None
