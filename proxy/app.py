"""The composition root: opens what a process needs, puts the pieces together, runs it until it is told to stop."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import socket
import sys
from typing import Final

import uvicorn

from proxy.clock import utc_now
from proxy.kill.sentinels import obey_kill_signal
from proxy.policy.reading import load_policy
from proxy.policy.shelf import policy_path
from proxy.process import harden_process
from proxy.settings import Settings
from proxy.vault.opening import open_unambiguous

log = logging.getLogger("perpguard")

WATCHDOG_NAME_MAX: Final = 32

SWITCH_S: Final = 0.0005
"""How long a thread of the warden may keep the interpreter while its loop wants it. The archive's threads are busy for
as long as orders come, a kill gives the interpreter away at every write of its own, and with Python's 5 ms it stood in
line for it dozens of times."""


def run_gate(
    settings: Settings, descriptor: int, https_descriptor: int | None, place: str, ready: int | None = None
) -> int:
    """One gate process, accepting on an inherited socket, and by TLS on another if there is one, until it is told.

    See ``GateServer`` for how it ends. ``place`` is its name in the metrics, ``ready`` a descriptor on which it says
    that it serves. Raises ``TlsMissing``, or what reading the policy and opening the vault does.
    """
    from proxy.gate.app import create_gate
    from proxy.gate.process import give_back_large_buffers, raise_descriptor_limit
    from proxy.gate.protocol import StrictHttpProtocol
    from proxy.gate.server import GateServer
    from proxy.gate.streams.socket import BotConnection

    harden_process("gate")
    obey_kill_signal(settings.data_dir)
    raise_descriptor_limit()
    give_back_large_buffers()
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


def run_warden(settings: Settings, descriptor: int) -> int:
    """The warden process: feeds, audit, kill switch, and the control door on an inherited socket, until SIGTERM."""
    gc.disable()  # What is loaded stays. To look through it for garbage again and again takes time.
    from proxy.store.ownership import DeskTaken
    from proxy.warden.keys_mirror import AccountsChanged
    from proxy.warden.server import serve_warden
    from proxy.warden.warden import Warden

    harden_process("warden")
    sys.setswitchinterval(SWITCH_S)
    obey_kill_signal(settings.data_dir)
    vault = open_unambiguous(settings, os.environ)
    try:
        asyncio.run(serve_warden(Warden(settings, vault, utc_now), descriptor))
    except* AccountsChanged:
        log.warning("the vault's accounts changed; the warden starts anew")
    except* DeskTaken:
        log.error("another guard has taken the desk; the warden starts anew")
    return 0


def run_watchdog(settings: Settings, *, guard: str | None, name: str | None, supervisor: int | None) -> int:
    """A watchdog, until SIGTERM or until it is no longer needed. Raises ``NotPaired``, or what opening a vault does."""
    from proxy.watchdog.process import run_watchdog

    harden_process("watchdog")
    vault = open_unambiguous(settings, os.environ)
    return run_watchdog(
        settings, vault, guard=guard, name=name or socket.gethostname()[:WATCHDOG_NAME_MAX], supervisor=supervisor
    )
