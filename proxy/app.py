"""The composition root: opens what a process needs, puts the pieces together, runs it until it is told to stop."""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import gc
import logging
import os
import resource
import signal
import socket
import sys
import threading
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from types import FrameType
from typing import TYPE_CHECKING, Any

import uvicorn

from proxy.clock import utc_now
from proxy.collector import spare_what_stays
from proxy.core_dumps import refuse_core_dumps
from proxy.kill.sentinels import obey_kill_signal
from proxy.log_repeats import Repeats
from proxy.policy.reading import load_policy
from proxy.policy.shelf import policy_path
from proxy.settings import Settings
from proxy.vault.opening import open_unambiguous

if TYPE_CHECKING:
    from proxy.warden.warden import Warden

log = logging.getLogger("perpguard")

_M_MMAP_THRESHOLD = -3
WATCHDOG_NAME_MAX = 32

DESCRIPTORS_WANTED = 16_384
"""Of a gate: 4,096 bots' connections, as many sockets, and the pools to the exchange and the store, several times."""

SWITCH_S = 0.0005
"""How long a thread of the warden may keep the interpreter while its loop wants it. The archive's threads are busy for
as long as orders come, a kill gives the interpreter away at every write of its own, and with Python's 5 ms it stood in
line for it dozens of times."""

LARGE_BUFFER_BYTES = 128 * 1024
"""glibc's own bound before it moves it."""


def run_gate(
    settings: Settings, descriptor: int, https_descriptor: int | None, place: str, ready: int | None = None
) -> int:
    """One gate process, accepting on an inherited socket, and by TLS on another if there is one, until it is told.

    See ``GateServer`` for how it ends. ``place`` is its name in the metrics, ``ready`` a descriptor on which it says
    that it serves. Raises ``TlsMissing``, or what reading the policy and opening the vault does.
    """
    from proxy.gate.app import create_gate
    from proxy.gate.protocol import StrictHttpProtocol
    from proxy.gate.server import GateServer
    from proxy.gate.streams.socket import BotConnection

    harden_process("gate")
    obey_kill_signal(settings.data_dir)
    _raise_descriptor_limit()
    _give_back_large_buffers()
    policy = load_policy(policy_path(settings))
    vault = open_unambiguous(settings, os.environ)
    gate = create_gate(settings, policy, vault, utc_now, place)
    config = uvicorn.Config(
        gate.application,
        http=StrictHttpProtocol,
        ws=BotConnection,
        lifespan="on",
        loop="uvloop",
        access_log=False,
        log_config=None,
        proxy_headers=False,
        server_header=False,
        date_header=False,
        timeout_keep_alive=30,
        # uvicorn's own bound would answer everybody's exits 503; the protocol has one that does not.
        limit_concurrency=None,
    )
    sockets = [socket.socket(fileno=descriptor)]
    if https_descriptor is None:
        GateServer(config, gate, ready).run(sockets=sockets)
        return 0
    from proxy.gate.https import Greeting, TwoDoors
    from proxy.tls.shelf import TlsShelf

    second = socket.socket(fileno=https_descriptor)
    TwoDoors(config, gate, ready, second, Greeting(TlsShelf(settings.data_dir))).run(sockets=sockets)
    return 0


def _raise_descriptor_limit() -> None:
    """As many open sockets as the system grants: the usual 1,024 are fewer than a crowd at the door and the way out."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = DESCRIPTORS_WANTED if hard == resource.RLIM_INFINITY else min(hard, DESCRIPTORS_WANTED)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def _give_back_large_buffers() -> None:
    """Have every buffer above 128 KiB taken from the system and given back to it, whatever was freed before.

    glibc raises that size to the largest buffer it has seen freed. From the first closed connection by TLS on, the
    256 KiB that uvloop has for each would lie among all else, and the pages that were ever touched would stay.
    """
    tune = getattr(ctypes.CDLL(None), "mallopt", None)  # Other C libraries have none, and need none.
    if tune is not None:
        tune(_M_MMAP_THRESHOLD, LARGE_BUFFER_BYTES)


def run_warden(settings: Settings, descriptor: int) -> int:
    """The warden process: feeds, audit, kill switch, and the control door on an inherited socket, until SIGTERM."""
    gc.disable()  # What is loaded stays. To look through it for garbage again and again takes time.
    from proxy.store.ownership import DeskTaken
    from proxy.warden.keys_mirror import AccountsChanged
    from proxy.warden.warden import Warden

    harden_process("warden")
    sys.setswitchinterval(SWITCH_S)
    obey_kill_signal(settings.data_dir)
    vault = open_unambiguous(settings, os.environ)
    try:
        asyncio.run(_serve_warden(Warden(settings, vault, utc_now), descriptor))
    except* AccountsChanged:
        log.warning("the vault's accounts changed; the warden starts anew")
    except* DeskTaken:
        log.error("another guard has taken the desk; the warden starts anew")
    return 0


async def _serve_warden(warden: Warden, descriptor: int) -> None:
    async with warden:
        # Two hundred thousand objects: walked again with a full collection, they are a pause of tenths of a second for
        # whoever presses the button in it.
        spare_what_stays()
        config = uvicorn.Config(
            warden.console,
            http="httptools",
            ws="none",
            loop="asyncio",
            access_log=False,
            log_config=None,
            proxy_headers=False,
            server_header=False,
            timeout_keep_alive=30,
            limit_concurrency=512,
        )
        server = _PoliteServer(config, warden.leave, warden.console.state.events.close)
        async with _tasks(warden, server):
            await server.serve(sockets=[socket.socket(fileno=descriptor)])


class _PoliteServer(uvicorn.Server):
    """Goes on serving, when asked to stop, until ``leave`` is done: watchdogs hear a goodbye at this very door."""

    def __init__(
        self, config: uvicorn.Config, leave: Callable[[], Coroutine[Any, Any, None]], let_go: Callable[[], None]
    ) -> None:
        super().__init__(config)
        self._leave = leave
        self._let_go = let_go
        self._asked: tuple[int, FrameType | None] | None = None
        self._leaving: asyncio.Task[None] | None = None

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """The first time, only remember: this runs as a signal handler. The second time, stop at once."""
        if self._asked is not None:
            super().handle_exit(sig, frame)
        self._asked = (sig, frame)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Let open pages go first: their live lines would hold the door open for as long as somebody looks."""
        self._let_go()
        await super().shutdown(sockets)

    async def on_tick(self, counter: int) -> bool:
        """Called ten times a second."""
        if self._asked is not None and self._leaving is None:
            self._leaving = asyncio.create_task(self._leave())
        if self._asked is not None and self._leaving is not None and self._leaving.done() and not self.should_exit:
            super().handle_exit(*self._asked)
            self._leaving.result()
        return await super().on_tick(counter)


@contextlib.asynccontextmanager
async def _tasks(warden: Warden, server: uvicorn.Server) -> AsyncIterator[None]:
    """The warden's loops, beside the server: if one of them ends with a bug the process ends, and is started anew."""
    loops = asyncio.create_task(warden.run())
    loops.add_done_callback(lambda task: setattr(server, "should_exit", True))
    try:
        yield
    finally:
        if loops.done() and not loops.cancelled() and (bug := loops.exception()) is not None:
            raise bug
        loops.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await loops


def run_watchdog(settings: Settings, *, guard: str | None, name: str | None, supervisor: int | None) -> int:
    """A watchdog, until SIGTERM or until it is no longer needed. Raises ``NotPaired``, or what opening a vault does."""
    from proxy.watchdog.process import run_watchdog

    harden_process("watchdog")
    vault = open_unambiguous(settings, os.environ)
    return run_watchdog(
        settings, vault, guard=guard, name=name or socket.gethostname()[:WATCHDOG_NAME_MAX], supervisor=supervisor
    )


def harden_process(name: str) -> None:
    """What every process that holds secrets does first: plain logs, no core dumps, and no life without its parent."""
    logging.basicConfig(
        level=logging.INFO, format=f"%(asctime)s {name} %(levelname)s %(name)s %(message)s", stream=sys.stderr
    )
    for handler in logging.getLogger().handlers:
        handler.addFilter(Repeats())
    # httpx logs every URL at INFO, and the URL of a signed read carries its signature.
    logging.getLogger("httpx").setLevel(logging.WARNING)
    logging.getLogger("httpcore").setLevel(logging.WARNING)
    refuse_core_dumps()
    supervisor = os.environ.get("PERPGUARD_SUPERVISED")
    if supervisor is not None:
        threading.Thread(target=_end_with, args=(int(supervisor),), daemon=True).start()


def _end_with(parent: int) -> None:
    """Stop in order when the supervisor is gone: an orphan would serve a port that nobody tends."""
    while os.getppid() == parent:
        time.sleep(0.5)
    log.error("the supervisor is gone; stopping")
    os.kill(os.getpid(), signal.SIGTERM)
