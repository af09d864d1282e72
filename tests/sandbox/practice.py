"""Start the real practice exchange in its own process and hold its control door."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import httpx

ROOT = Path(__file__).resolve().parents[2]
ALICE = ("alice-key", "alice-secret")
BOB = ("bob-key", "bob-secret")


class PracticeServer:
    """A running exchange: its address, and the control door."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.ws = url.replace("http", "ws", 1)
        self.control = httpx.Client(base_url=f"{url}/sandbox", timeout=30)

    def price(self, symbol: str, price: str, mark_price: str | None = None) -> None:
        self._post("/price", {"symbol": symbol, "price": price} | ({"mark_price": mark_price} if mark_price else {}))

    def step(self, n: int = 1) -> None:
        self._post("/step", {"n": n})

    def faults(self, **armed: object) -> None:
        self._post("/faults", armed)

    def streams(self, **armed: object) -> dict[str, Any]:
        """Arm stream faults; returns what is armed and who listens."""
        answer: dict[str, Any] = self.control.post("/streams", json=armed).raise_for_status().json()
        return answer

    def log(self) -> list[dict[str, object]]:
        return list(self.control.get("/log").raise_for_status().json()["entries"])

    def _post(self, path: str, body: Mapping[str, object]) -> None:
        self.control.post(path, json=body).raise_for_status()


def start(*options: str, accounts: bool = True) -> tuple[subprocess.Popen[str], PracticeServer]:
    """Start `python -m sandbox` on a free port, with alice and bob unless told otherwise; wait until it is ready."""
    rows = (":".join(("alice", *ALICE, "10000")), ":".join(("bob", *BOB, "1000000")))
    given = [part for row in rows if accounts for part in ("--account", row)]
    process = subprocess.Popen(
        [sys.executable, "-m", "sandbox", "--port", "0", *given, *options],
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    )
    assert process.stdout is not None
    line = process.stdout.readline()
    assert line.startswith("practice exchange ready http://127.0.0.1:"), line
    return process, PracticeServer(line.split()[-1])


def stop(process: subprocess.Popen[str]) -> None:
    process.terminate()
    process.wait(timeout=10)
    if process.stdout is not None:
        process.stdout.close()
