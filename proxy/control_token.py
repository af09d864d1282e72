"""The token that opens the control door: given by the environment, or made once and kept beside the vault."""

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
    path = token_path(settings)
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    except FileExistsError:
        return SecretStr(path.read_text(encoding="ascii").strip())
    with os.fdopen(descriptor, "w", encoding="ascii") as file:
        token = secrets.token_urlsafe(32)
        file.write(token + "\n")
    return SecretStr(token)


def token_path(settings: Settings) -> Path:
    """Where a token made by the guard itself is kept."""
    return settings.data_dir / "control.token"
