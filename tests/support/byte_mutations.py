"""Small changes to the bytes of a request: flips, splices, lines doubled and taken away, line ends exchanged."""

from __future__ import annotations

import random
import re

SPECIAL = (b"\0", b"\n", b"\r", b"\r\n", b"\r\n\r\n", b" ", b"\t", b":", b",", b";", b"0", b"\x0b", b"\x80", b"%")
LINES = (b"Content-Length: 0", b"Transfer-Encoding: chunked", b"Host: b", b"Connection: close", b"Expect: x", b" x")


def mutated(payload: bytes, other: bytes, chance: random.Random) -> bytes:
    """One to four small changes, in the heads more often than elsewhere."""
    for _ in range(chance.randint(1, 4)):
        at = chance.randrange(len(payload)) if chance.random() < 0.3 else chance.randrange(min(len(payload), 400))
        lines = payload.split(b"\r\n")
        line = chance.randrange(len(lines))
        match chance.randrange(9):
            case 0:
                payload = payload[:at] + bytes([payload[at] ^ 1 << chance.randrange(8)]) + payload[at + 1 :]
            case 1:
                payload = payload[:at] + chance.choice(SPECIAL) + payload[at:]
            case 2:
                payload = payload[:at] + payload[at + chance.randint(1, 8) :]
            case 3:
                payload = b"\r\n".join(lines[: line + 1] + lines[line:])
            case 4:
                payload = b"\r\n".join(lines[:line] + lines[line + 1 :])
            case 5:
                payload = b"\r\n".join([*lines[:line], chance.choice(LINES), *lines[line:]])
            case 6:
                old, new = chance.choice(((b"\r\n", b"\n"), (b"\r\n", b"\r"), (b"\r\n", b"\n\r"), (b": ", b" :")))
                where = payload.find(old, at)
                payload = payload[:where] + new + payload[where + len(old) :] if where >= 0 else payload
            case 7:
                payload = payload[:at] + other[chance.randrange(len(other)) :]
            case _:
                payload = (
                    re.sub(rb"\d+", lambda found: b"%d" % chance.randrange(1_000), payload[:at], count=1) + payload[at:]
                )
        if not payload:
            return b"\r\n"
    return payload
