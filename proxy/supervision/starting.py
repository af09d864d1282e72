"""What keeps a guard from starting and no single setting tells: ``up`` looks at it, and ``check`` says it before."""

from __future__ import annotations

import os
import socket
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path

from proxy.client.token import token_path
from proxy.settings import TOKEN_LENGTH_MIN, Settings, SettingsError, is_of_postgresql
from proxy.supervision.source_addresses import check_source_addresses

_EVERYWHERE = frozenset({"", "0.0.0.0", "::"})  # noqa: S104 - recognised, not bound


def check_startable(settings: Settings, accounts: Collection[str], environment: Mapping[str, str] = os.environ) -> None:
    """Raises ``SettingsError`` for doors that cannot be opened, a token's file or an archive's that the warden would
    die of, and source addresses that cannot be sent from; ``TlsMissing`` without the certificate of an HTTPS door.

    ``accounts`` are those of the vault. Nothing is listened on: a guard may be running.
    """
    wrong = [*_of_doors(settings), *_of_tokens(settings), *_of_the_archive(environment)]
    if wrong:
        raise SettingsError("; ".join(wrong))
    check_source_addresses(settings, accounts)
    if settings.gate_https_port is not None:
        from proxy.gate.https import Greeting
        from proxy.tls.shelf import TlsShelf

        Greeting(TlsShelf(settings.data_dir))


def _of_doors(settings: Settings) -> Iterator[str]:
    doors = [
        ("gate_port", settings.gate_host, settings.gate_port),
        ("gate_https_port", settings.gate_host, settings.gate_https_port or 0),
        ("control_port", settings.control_host, settings.control_port),
    ]
    for place, (name, host, port) in enumerate(doors):
        for other_name, other_host, other_port in doors[:place]:
            if port and port == other_port and (host == other_host or not _EVERYWHERE.isdisjoint((host, other_host))):
                yield f"{name}: {port} is {other_name} too; each door needs a port of its own"
    for name, host in (("gate_host", settings.gate_host), ("control_host", settings.control_host)):
        if trouble := _not_ours(host):
            yield f"{name}: cannot listen on {host}: {trouble}"


def _not_ours(host: str) -> str:
    """Why this machine cannot be reached by that name or address; empty where it can."""
    try:
        with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM) as probe:
            probe.bind((host, 0))
    except (OSError, UnicodeError) as trouble:
        return getattr(trouble, "strerror", None) or str(trouble)
    return ""


def _of_tokens(settings: Settings) -> Iterator[str]:
    given = [("metrics_token_file", settings.metrics_token_file or settings.data_dir / "metrics.token")]
    if settings.control_token is None:
        given.append(("control token", token_path(settings)))
    for name, path in given:
        try:
            token = path.read_text(encoding="ascii").strip()
        except FileNotFoundError:
            if not path.parent.exists() and path.parent != settings.data_dir:
                yield f"{name}: {path.parent} does not exist, so no token can be made there"
        except (OSError, UnicodeDecodeError) as trouble:
            yield f"{name}: {path} cannot be read ({type(trouble).__name__})"
        else:
            if 0 < len(token) < TOKEN_LENGTH_MIN:
                yield f"{name}: the token in {path} has fewer than {TOKEN_LENGTH_MIN} characters"


def _of_the_archive(environment: Mapping[str, str]) -> Iterator[str]:
    """The address in a file; the one in the environment itself is judged with the settings."""
    named = environment.get("PERPGUARD_AUDIT_URL_FILE")
    if environment.get("PERPGUARD_AUDIT_URL") or not named:
        return
    try:
        url = Path(named).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as trouble:
        yield f"audit_url_file: {named} cannot be read ({type(trouble).__name__})"
    else:
        if url and not is_of_postgresql(url):
            yield f"audit_url_file: what {named} holds is no postgresql:// address"
