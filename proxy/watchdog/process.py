"""The watchdog as a process: its own vault, its own lock, its own way to the guard. ``perpguard watchdog`` runs it."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import logging
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from proxy.addresses import in_brackets
from proxy.guard_id import known_guard_id
from proxy.kill.direct import DirectHands
from proxy.settings import Settings, SettingsError
from proxy.store.beats import BeatStore
from proxy.store.warden_store import WardenStore
from proxy.vault.keys import Secret
from proxy.vault.vault import Vault
from proxy.watchdog.acts import Acts
from proxy.watchdog.hands import Flattening
from proxy.watchdog.memory import Memory
from proxy.watchdog.stopping import NotPaired
from proxy.watchdog.turns import Turns
from proxy.watchdog.watch import Watch
from proxy.watchdog.ways import PortWay, StoreWay, Way

log = logging.getLogger("perpguard.watchdog")

LOCK_POLL_S: Final = 0.2
START_GRACE_S: Final = 30.0
"""A watchdog that is started with the guard gives it this much longer to come up."""


def run_watchdog(settings: Settings, vault: Vault, *, guard: str | None, name: str, supervisor: int | None) -> int:
    """Watch until SIGTERM; 0. Raises ``NotPaired``, and ``SettingsError`` where an account's venue is not in them.

    ``guard`` is the guard's control port, by default where the settings say. A watchdog that ``supervisor`` started
    outlives it: that is when it is needed.
    """
    secret = vault.watchdog_secret
    if secret is None:
        raise NotPaired("the vault holds no watchdog secret; `perpguard keys watchdog` shows how to pair")
    strangers = sorted({key.venue for key in vault.accounts()} - set(settings.venues))
    if strangers:
        raise SettingsError(f"venues: the vault has keys of {', '.join(strangers)}, which the settings do not name")
    with _only_watchdog_of(settings.data_dir):
        asyncio.run(_watch(settings, vault, secret, guard or control_url(settings), name, supervisor))
    return 0


def control_url(settings: Settings) -> str:
    """Where the settings say that the guard's control port is."""
    host = in_brackets(settings.control_host)
    return f"http://{host}:{settings.control_port}"


async def _watch(
    settings: Settings, vault: Vault, secret: Secret, guard_url: str, name: str, supervisor: int | None
) -> None:
    asked_to_stop = asyncio.Event()
    async with contextlib.AsyncExitStack() as closing:
        guard = known_guard_id(settings.data_dir)
        beats = BeatStore(settings.store, settings.desk, guard)
        left = StoreWay(beats, secret)
        acts = Acts()
        port = PortWay(guard_url, secret, name, acts, answered=left.answered)
        store = WardenStore(settings.store, settings.desk, guard)
        for close in (port.aclose, beats.aclose, store.aclose):
            closing.push_async_callback(close)
        direct = await closing.enter_async_context(DirectHands(settings, ()))
        ways: list[Way] = [port, left]
        watch = Watch(
            ways=ways,
            hands=Flattening(settings, vault, store, Turns(beats, f"watchdog {name}"), direct, name, acts),
            memory=Memory(settings.data_dir),
            orphaned=lambda: supervisor is not None and os.getppid() != supervisor,
            grace_s=START_GRACE_S if supervisor is not None else 0.0,
            pause=lambda seconds: _pause(asked_to_stop, seconds),
        )

        def stop() -> None:
            watch.stopping = True
            asked_to_stop.set()

        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, stop)
        log.info("this watchdog listens at %s", " and ".join(way.name for way in ways))
        await watch.run()


async def _pause(asked_to_stop: asyncio.Event, seconds: float) -> None:
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await asked_to_stop.wait()


@contextlib.contextmanager
def _only_watchdog_of(data_dir: Path) -> Iterator[None]:
    """Hold the data directory's watch; one that an earlier guard left behind is waited for: it ends with its watch."""
    directory = data_dir / "watchdog"
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor = os.open(directory / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        said = False
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if not said:
                    said = True
                    log.warning("another watchdog is on watch here; waiting for its end")
                time.sleep(LOCK_POLL_S)
        yield
    finally:
        os.close(descriptor)
