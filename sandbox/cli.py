"""`python -m sandbox`: read the settings, bind to loopback, say when the exchange is ready."""

from __future__ import annotations

import argparse
import asyncio
import ipaddress
import logging
import socket
import sys
from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from pathlib import Path

import uvicorn

from sandbox.connections import Connections
from sandbox.engine.scenario import Scenario
from sandbox.server import create_app
from sandbox.settings import (
    Settings,
    SettingsError,
    read_account,
    read_playback,
    read_settings,
    with_ed25519,
)

CONNECTIONS_MAX = 1_000
PORT_MAX = 65_535
# Longer than any client's idle time between two orders, so that keep-alive races do not look like faults.
KEEP_ALIVE_S = 75
FRAME_MAX = 64 * 1024
# Binance USD-M "WebSocket API general info": a ping every three minutes, ten to answer it.
PING_INTERVAL_S = 180
PONG_TIMEOUT_S = 600
# Sockets that do not finish their closing handshake are not waited for longer than this at the end.
SHUTDOWN_S = 3


def main(argv: list[str]) -> int:
    """Run the practice exchange until interrupted.

    0 after a clean end, 1 when its clock broke (the log says how), 2 when the settings cannot be used.
    """
    arguments = _parser().parse_args(argv)
    try:
        settings = _settings(arguments)
        if not arguments.expose and not _loopback(arguments.host):
            raise SettingsError(f"--host {arguments.host} is not a loopback address; add --expose to serve it anyway")
        listener = _listen(arguments.host, arguments.port)
    except (SettingsError, OSError) as trouble:
        sys.stderr.write(f"practice exchange: {trouble}\n")
        return 2
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(name)s %(levelname)s %(message)s")
    with suppress(KeyboardInterrupt):
        return int(asyncio.run(_serve(settings, listener)))
    return 0


class _AnnouncingServer(uvicorn.Server):
    """uvicorn, plus one line on standard output when connections are accepted, and an end when the exchange breaks."""

    broken = False

    def give_up(self) -> None:
        """End the process: the exchange cannot go on."""
        self.broken = True
        self.should_exit = True

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        for listener in sockets or []:
            host, port = listener.getsockname()[:2]
            shown = f"[{host}]" if ":" in host else host
            sys.stdout.write(f"practice exchange ready http://{shown}:{port}\n")
        sys.stdout.flush()


async def _serve(settings: Settings, listener: socket.socket) -> bool:
    """Serve until the end; True when the exchange itself asked for it."""
    connections = Connections()
    config = uvicorn.Config(
        create_app(settings, connections, lambda: server.give_up()),
        http=connections.protocol(),
        ws=connections.websocket_protocol(),
        ws_max_size=FRAME_MAX,
        ws_ping_interval=PING_INTERVAL_S,
        ws_ping_timeout=PONG_TIMEOUT_S,
        # The venue offers no compression; every client works without.
        ws_per_message_deflate=False,
        lifespan="on",
        # Access logs would carry signatures and keys' traffic; the request log is under /sandbox/log.
        access_log=False,
        log_level="warning",
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=KEEP_ALIVE_S,
        limit_concurrency=CONNECTIONS_MAX,
        timeout_graceful_shutdown=SHUTDOWN_S,
    )
    server = _AnnouncingServer(config)
    await server.serve(sockets=[listener])
    return server.broken


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="sandbox", description="A practice exchange for perpetual-futures bots.")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=_port, default=8090, help="0 picks a free port")
    parser.add_argument("--config", type=Path, help="a TOML file; options given here win")
    parser.add_argument("--seed", type=int)
    parser.add_argument("--scenario", type=Scenario, choices=list(Scenario))
    parser.add_argument("--speed", type=float, help="engine time over wall time; 0 stops the clock")
    parser.add_argument(
        "--start-time", type=datetime.fromisoformat, help="engine time at the start, ISO 8601 with zone"
    )
    parser.add_argument("--account", action="append", metavar="NAME:KEY:SECRET:BALANCE")
    parser.add_argument(
        "--ed25519", action="append", metavar="NAME:KEY:PEM_FILE", help="one more API key for an account"
    )
    parser.add_argument("--weight-limit", type=int, help="request weight per minute; 0 never refuses")
    parser.add_argument("--order-limit", type=int, help="orders per 10 s; 0 never refuses")
    parser.add_argument("--insurance-fund", type=_amount, help="USDT; 0 lets bankruptcies end in auto-deleveraging")
    parser.add_argument("--extra-symbols", type=int, help="list so many invented contracts besides: X01USDT and on")
    for name, what in (
        ("replay", "klines"),
        ("replay-mark", "markPriceKlines"),
        ("replay-funding", "fundingRate"),
    ):
        text = f"play back SYMBOL-... {what} of Binance's public archive, CSV or Parquet; may be repeated"
        parser.add_argument(f"--{name}", type=Path, action="append", default=[], metavar="FILE", help=text)
    parser.add_argument("--expose", action="store_true", help="allow a host that is not loopback")
    return parser


def _port(text: str) -> int:
    if not text.isascii() or not text.isdecimal() or int(text) > PORT_MAX:
        raise argparse.ArgumentTypeError(f"not a port, 0 to {PORT_MAX}: {text!r}")
    return int(text)


def _amount(text: str) -> Decimal:
    try:
        return Decimal(text)
    except ArithmeticError:
        raise argparse.ArgumentTypeError(f"not a number: {text!r}") from None


def _settings(arguments: argparse.Namespace) -> Settings:
    settings = read_settings(arguments.config) if arguments.config else Settings()
    given = {
        name: value
        for name in (
            "seed",
            "scenario",
            "speed",
            "start_time",
            "weight_limit",
            "order_limit",
            "insurance_fund",
            "extra_symbols",
        )
        if (value := getattr(arguments, name)) is not None
    }
    if arguments.account:
        given["accounts"] = tuple(read_account(text) for text in arguments.account)
    playback = read_playback(arguments.replay, arguments.replay_mark, arguments.replay_funding)
    if playback is not None:
        given["playback"] = playback
    settings = replace(settings, **given)
    for text in arguments.ed25519 or ():
        settings = with_ed25519(settings, text)
    return settings


def _loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # The protocol must be named: asyncio switches Nagle off only on sockets that say they are TCP (40 ms an answer).
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
        listener.listen(128)
    except OSError:
        listener.close()
        raise
    return listener
