"""The token that opens the control door: given by the environment, or made once and kept beside the vault.

Beside it lies the token that opens ``/metrics`` and nothing else.
"""

from __future__ import annotations

import os
import secrets
from pathlib import Path

from pydantic import SecretStr

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
    try:
        return SecretStr(token_path(settings).read_text(encoding="ascii").strip())
    except FileNotFoundError:
        return None


def _kept(path: Path) -> SecretStr:
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    except FileExistsError:
        return SecretStr(path.read_text(encoding="ascii").strip())
    with os.fdopen(descriptor, "w", encoding="ascii") as file:
        token = secrets.token_urlsafe(32)
        file.write(token + "\n")
    return SecretStr(token)
