"""The command line's end of the kill's line: ask the warden, show what it tells, and know when nobody is there.

Standard library only: nothing that could fail is loaded before the warden has been told.
"""

from __future__ import annotations

import json
import os
import socket
import struct
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

ANSWER_S_MAX: Final = 1.0
"""A warden that is there blocks in milliseconds; one that does not answer is as good as gone."""

SILENCE_S_MAX: Final = 5.0
"""Afterwards it speaks at least once a second."""

LINE_BYTES_MAX: Final = 4 * 1024 * 1024
_SOCKET_NAME: Final = "control.sock"


class NoWarden(Exception):
    """Nobody answers, or not any more; the text says what was seen."""


class Silent(NoWarden):
    """Somebody is there, who says nothing; he may have heard all the same."""


class LineRefused(Exception):
    """The warden understood and refused; the text says why."""


class NothingOfThatName(LineRefused):
    """There is no such account, venue or bot; the text names the accounts there are."""


def ask_warden(
    data_dir: Path,
    *,
    scope: str,
    by: str,
    reason: str,
    show: Callable[[dict[str, Any]], None],
    answer_s: float = ANSWER_S_MAX,
) -> dict[str, Any]:
    """Have the running warden kill a scope. The report, when all of it has ended. ``show`` sees every line before it.
    ``answer_s`` is how long it may take to say the first word.

    Raises ``NoWarden`` or ``LineRefused``.
    """
    request = {"command": "kill", "scope": scope, "by": by, "reason": reason}
    try:
        with _connected(data_dir, answer_s) as line:
            # As it is: escaped, five hundred characters of some scripts would be longer than a line may be.
            line.sendall(json.dumps(request, ensure_ascii=False).encode() + b"\n")
            for told in _lines(line):
                if told.get("kind") == "report" and isinstance(told.get("report"), dict):
                    report: dict[str, Any] = told["report"]
                    return report
                if told.get("kind") == "refused":
                    raise (NothingOfThatName if told.get("unknown") else LineRefused)(str(told.get("why")))
                show(told)
                line.settimeout(SILENCE_S_MAX)
    except TimeoutError:
        raise Silent("the warden does not answer") from None
    except OSError as trouble:
        raise NoWarden(f"no warden answers on {_SOCKET_NAME} ({trouble.strerror or trouble})") from None
    raise NoWarden("the warden has hung up")


def _connected(data_dir: Path, answer_s: float) -> socket.socket:
    """Raises ``OSError``, and ``NoWarden`` for a socket that is somebody else's."""
    directory = os.open(data_dir, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    line = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        line.settimeout(answer_s)
        line.connect(f"/proc/self/fd/{directory}/{_SOCKET_NAME}")  # A longer path than an address holds.
        raw = line.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
        if struct.unpack("3i", raw)[1] not in (0, os.geteuid(), data_dir.stat().st_uid):
            raise NoWarden(f"{_SOCKET_NAME} is another user's")
    except BaseException:
        line.close()
        raise
    finally:
        os.close(directory)
    return line


def _lines(line: socket.socket) -> Iterator[dict[str, Any]]:
    buffered = b""
    while True:
        head, found, rest = buffered.partition(b"\n")
        if found:
            buffered = rest
            try:
                told = json.loads(head)
            except (ValueError, RecursionError):
                raise NoWarden("the warden's answer cannot be read") from None
            if isinstance(told, dict):
                yield told
            continue
        if len(buffered) > LINE_BYTES_MAX:
            raise NoWarden("the warden's answer has no end")
        received = line.recv(65_536)
        if not received:
            return
        buffered += received
