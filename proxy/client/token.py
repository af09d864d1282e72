"""The token that opens the control door: given by the environment, or made once and kept beside the vault.

Beside it lies the token that opens ``/metrics`` and nothing else.
"""

from __future__ import annotations

import fcntl
import os
import secrets
from pathlib import Path

from pydantic import SecretStr

from proxy.disk import replace_file
from proxy.settings import Settings


def control_token(settings: Settings) -> SecretStr:
    """The token given, or the one in ``<data_dir>/control.token`` (mode 0600), made on first use."""
    if settings.control_token is not None:
        return settings.control_token
    return _kept(token_path(settings))


def metrics_token(settings: Settings) -> SecretStr:
    """The token in ``metrics_token_file``, or in ``<data_dir>/metrics.token``; made on first use, mode 0600."""
    return _kept(settings.metrics_token_file or settings.data_dir / "metrics.token")


def token_path(settings: Settings) -> Path:
    """Where a token made by the guard itself is kept."""
    return settings.data_dir / "control.token"


def known_token(settings: Settings) -> SecretStr | None:
    """The token given, or the one that a guard has made here; ``None`` where none ever ran. Raises ``OSError``."""
    if settings.control_token is not None:
        return settings.control_token
    return _read(token_path(settings))


def _kept(path: Path) -> SecretStr:
    return _read(path) or _made(path)


def _read(path: Path) -> SecretStr | None:
    """The token in a file. An empty file has none: it is the lock of ``_made``, and stays where the disk was full."""
    try:
        token = path.read_text(encoding="ascii").strip()
    except FileNotFoundError:
        return None
    return SecretStr(token) if token else None


def _made(path: Path) -> SecretStr:
    """A new token, on disk before anybody has it; or that of another process which made one meanwhile."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)  # Held for two fsyncs by whoever has it.
        # Whoever waited finds the token by its name: the file that it has locked is no longer there.
        token = _read(path)
        if token is None:
            token = SecretStr(secrets.token_urlsafe(32))
            replace_file(path, f"{token.get_secret_value()}\n".encode("ascii"))
        return token
    finally:
        os.close(descriptor)
