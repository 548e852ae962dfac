"""What a server sends, as lines that can be compared: everything but what differs from server to server by right."""

import re
import struct

NAMES = {
    "1": "ParseComplete", "2": "BindComplete", "3": "CloseComplete", "C": "CommandComplete", "D": "DataRow",
    "E": "Error", "G": "CopyIn", "H": "CopyOut", "I": "EmptyQuery", "N": "Notice", "S": "Parameter", "T": "Row",
    "V": "FunctionCall", "W": "CopyBoth", "Z": "Ready", "c": "CopyDone", "d": "CopyData", "n": "NoData",
    "s": "PortalSuspended", "t": "Parameters", "A": "Notification", "K": "Key", "R": "Authentication",
}
# The first object ids that user tables can have: they differ from one creation to the next.
FIRST_USER_OID = 16384


def cut(body):
    text, _, rest = body.partition(b"\0")
    return text.decode(errors="replace"), rest


class Transcript:
    def __init__(self):
        self.lines = []
        self.oids = {}

    def oid(self, value):
        if value < FIRST_USER_OID:
            return str(value)
        return f"user{self.oids.setdefault(value, len(self.oids) + 1)}"

    def add(self, kind, body):
        show = getattr(self, f"show_{NAMES.get(kind, kind)}", None)
        self.lines.append(f"{NAMES.get(kind, kind)} {show(body) if show else repr(body)}".rstrip())

    def show_Error(self, body):
        fields = {}
        for part in body.split(b"\0"):
            # Not the place in the server's source.
            if part and chr(part[0]) not in "FLR":
                fields[chr(part[0])] = part[1:].decode(errors="replace")
        return " ".join(f"{k}={v}" for k, v in fields.items())

    show_Notice = show_Error

    def show_Row(self, body):
        columns = []
        count = struct.unpack_from("!H", body)[0]
        rest = body[2:]
        for _ in range(count):
            name, rest = cut(rest)
            table, number, kind, size, modifier, form = struct.unpack_from("!IhIhih", rest)
            rest = rest[18:]
            columns.append(f"{name}({self.oid(table)}.{number} {self.oid(kind)} {size} {modifier} {form})")
        return " ".join(columns)

    def show_Parameters(self, body):
        return " ".join(self.oid(o) for o in struct.unpack(f"!{(len(body) - 2) // 4}I", body[2:]))

    def show_CommandComplete(self, body):
        return cut(body)[0]

    def show_Ready(self, body):
        return body.decode()

    def show_Parameter(self, body):
        name, rest = cut(body)
        return f"{name}={cut(rest)[0]}"

    def show_CopyIn(self, body):
        return " ".join(str(b) for b in body)

    show_CopyOut = show_CopyIn


# What a gateway may say in its own words of a message that can't be read; its text and place, not its state.
MALFORMED = re.compile(r"C=08P01 M=(invalid \w+ message|invalid (string|byte sequence) in message|invalid message format"
                       r"|insufficient data left in message|no data left in message)( W=.*)?$|C=22023 M=unsupported format code.*$")
BEFORE_ERRORS = ("ParseComplete b''", "BindComplete b''", "NoData b''")


def loosened(lines):
    """Without what a server may leave out, add or put in another order that looks at a statement only when it is
    described or executed, and runs Describe and Execute of a portal as one: completions right before an error, NoData
    before or after a notice, the order of parameters, the completion of what then fails to commit."""
    kept = []
    for line in lines:
        if line.startswith("Error"):
            line = MALFORMED.sub(lambda match: "malformed" if "08P01" in match[0] else "format", line)
            while kept and (kept[-1] in BEFORE_ERRORS or (kept[-1].startswith("CommandComplete") and "C=23503" in line)):
                kept.pop()
        at = len(kept)
        if line.startswith("Notice"):
            while at and kept[at - 1] == "NoData b''":
                at -= 1
        if line.startswith("Parameter "):
            while at and kept[at - 1].startswith("Parameter ") and kept[at - 1] > line:
                at -= 1
        kept.insert(at, line)
    return kept
