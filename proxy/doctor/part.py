"""One part of the doctor's round, so looked at that whatever ails it is a finding, and the other parts are heard."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future
from pathlib import Path
from typing import Final, TypeVar
from urllib.parse import unquote

from pydantic import SecretStr

from proxy.doctor.finding import Finding, fail
from proxy.settings import Settings
from proxy.terminal import safe
from proxy.vault.vault import Vault

T = TypeVar("T")

_LEFT_OUT: Final = "[secret]"
_SAME: Final = "with the same settings"


def looked_through(check: str, look: Callable[[], Iterable[Finding]], secrets: Iterable[str] = ()) -> Iterator[Finding]:
    """What ``look`` finds, as it finds it. What it raises becomes a finding too, with nothing of ``secrets`` in it."""
    try:
        yield from look()
    except Exception as trouble:  # The edge: whatever ails one part is said, and the others are looked at all the same.
        if isinstance(trouble, OSError) and trouble.filename is not None:
            yield unseen(check, trouble)
            return
        said = f"could not be looked at ({type(trouble).__name__}: {safe(without(secrets, str(trouble)))})"
        yield fail(
            check, said, "mend what it names; where nothing of that is wrong, it is a mistake of ours: report it"
        )


def unseen(check: str, trouble: OSError) -> Finding:
    """A file that the system did not let this user look at."""
    why = f"{trouble.strerror} ({type(trouble).__name__})"
    said = f"you (user {os.geteuid()}) cannot look at {trouble.filename}: {why}"
    return fail(check, said, run_as_owner(Path(os.fsdecode(trouble.filename))))


def run_as_owner(path: Path) -> str:
    """How to ask again as the user to whom ``path`` belongs, as far as this one may see who that is."""
    for place in (path, *path.parents):
        try:
            owner = place.stat().st_uid
        except OSError:
            continue
        if owner != os.geteuid():
            return f"run as the guard's own user: sudo -u '#{owner}' perpguard doctor, {_SAME}"
        return f"{place} is yours: chmod u+rX {place}, or look for what damaged the disk"
    return f"run as the guard's own user, {_SAME}"


def secrets_of(settings: Settings, environment: Mapping[str, str]) -> Iterator[str]:
    """What no finding may repeat of the settings and of the environment."""
    kept = [value.get_secret_value() for value in dict(settings).values() if isinstance(value, SecretStr)]
    yield from kept
    yield environment.get("PERPGUARD_PASSPHRASE", "")
    for url in (settings.store_url or "", *kept):
        # Whatever reads it: a password that is no part of any proper address works in some.
        password = url.partition("://")[2].rpartition("@")[0].partition(":")[2]
        if password:
            yield from (url, password, unquote(password))


def secrets_in(vault: Vault) -> Iterator[str]:
    """What no finding may repeat of the vault."""
    for account in vault.accounts():
        yield from (account.api_key, account.api_secret.reveal())
        if account.master is not None:
            yield from (account.master.api_key, account.master.api_secret.reveal())
    for bot in vault.guard_keys():
        yield from (bot.key, bot.secret.reveal())
    for channel in vault.alert_channels():
        yield channel.url.reveal()


def without(secrets: Iterable[str], text: str) -> str:
    """``text`` with none of ``secrets`` in it, the longest first, for one may be part of another."""
    for secret in sorted(filter(None, secrets), key=len, reverse=True):
        text = text.replace(secret, _LEFT_OUT)
    return text


def within(most_s: float, call: Callable[[], T]) -> T:
    """``call``'s result; ``TimeoutError`` when there is none in ``most_s`` seconds, however often a byte arrives."""
    answer: Future[T] = Future()

    def run() -> None:
        try:
            answer.set_result(call())
        except Exception as trouble:  # Raised again below, where the answer is waited for.
            answer.set_exception(trouble)

    # No executor's thread: the interpreter would wait at its end for one that never comes back.
    threading.Thread(target=run, daemon=True).start()
    return answer.result(most_s)
