"""`perpguard command`: makes a person's key, and signs a command with it, offline and far from the guard.

For a phone's shortcut or a chat bot: whatever can post the line that is printed to ``/control/command`` has pressed.
"""

from __future__ import annotations

import argparse
import base64
import json
import os
import secrets
import sys
from pathlib import Path
from typing import TextIO

from proxy.clock import utc_now
from proxy.commands.exit_codes import OK, USAGE_ERROR
from proxy.commands.in_words import file_trouble
from proxy.store.scope import Scope
from proxy.terminal import complain, say


def add_arguments(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add ``command`` to the global command line."""
    command = subparsers.add_parser("command", help="keys for signed commands, and commands signed with them")
    acts = command.add_subparsers(dest="act", required=True, metavar="ACT")
    key = acts.add_parser("key", help="make a key; prints its public half, for the guard's settings")
    key.add_argument("file", type=Path, help="where the private half is written; only you can read it")
    sign = acts.add_parser("sign", help="print a signed command, good for two minutes and once")
    sign.add_argument("--key", type=Path, required=True, metavar="FILE", help="the private half")
    sign.add_argument("--by", required=True, help="your name, as the settings have it")
    sign.add_argument("--desk", default="desk", help="the desk's name in its settings")
    sign.add_argument("--command", dest="what", choices=("kill", "reduce"), default="kill")
    sign.add_argument("--scope", default="desk", help="desk (default), venue:NAME, account:NAME or bot:NAME")
    sign.add_argument("--reason", required=True)


def run(args: argparse.Namespace, stdout: TextIO = sys.stdout, stderr: TextIO = sys.stderr) -> int:
    """Run ``perpguard command``."""
    try:
        line = _make_key(args.file) if args.act == "key" else _sign(args)
    except FileExistsError:
        complain("command", f"{args.file} is there already; a key is never written over", to=stderr)
        return USAGE_ERROR
    except OSError as trouble:
        complain("command", file_trouble(trouble), to=stderr)
        return USAGE_ERROR
    except ValueError as trouble:
        complain("command", str(trouble), to=stderr)
        return USAGE_ERROR
    say(line, to=stdout)
    return OK


def _make_key(path: Path) -> str:
    """Writes the private half, returns the public one. Raises ``OSError``."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    key = Ed25519PrivateKey.generate()
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "w", encoding="ascii") as file:
        file.write(base64.b64encode(key.private_bytes_raw()).decode() + "\n")
    return base64.b64encode(key.public_key().public_bytes_raw()).decode()


def _sign(args: argparse.Namespace) -> str:
    """The command as it is sent. Raises ``OSError`` or ``ValueError``."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    from proxy.kill.signed import signed

    scope = Scope.parse(args.scope)
    if args.key.stat().st_mode & 0o077:
        raise ValueError(f"{args.key} can be read by others; chmod 600 it, or make another key")
    try:
        key = Ed25519PrivateKey.from_private_bytes(base64.b64decode(args.key.read_bytes().strip(), validate=True))
    except ValueError:
        raise ValueError(f"{args.key} holds no key that `perpguard command key` made") from None
    fields = {
        "command": args.what,
        "desk": args.desk,
        "scope": str(scope),
        "by": args.by,
        "reason": args.reason,
        "at": utc_now().isoformat(timespec="seconds"),
        "nonce": secrets.token_urlsafe(24),
    }
    return json.dumps(signed(fields, key), sort_keys=True)
