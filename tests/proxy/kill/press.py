"""One kill in a process of its own: ``python -m tests.proxy.kill.press DATA_DIR URL ACCOUNT [LINE]``.

With LINE it stands still once that line of the journal is on disk, says so, and waits to be killed.
"""

from __future__ import annotations

import asyncio
import sys
import time
from pathlib import Path
from typing import Any

from proxy.kill.hands import VenueHands
from proxy.store import codec
from proxy.store.fence import Scope
from tests.proxy.kill.practice_exchange import PracticeExchange
from tests.support.kills import kill


async def main(data_dir: str, base_url: str, account: str, line: str = "0") -> None:
    written = 0

    def hold(_: dict[str, Any]) -> None:
        nonlocal written
        written += 1
        if written == int(line):
            print("holding", flush=True)
            time.sleep(60)

    hands = VenueHands(PracticeExchange(base_url).hands(account))
    try:
        report = await kill(Path(data_dir), Scope(account), [hands], "ann", "end to end", on_step=hold)
        print(codec.dump(codec.plain(report)).decode())
    finally:
        await hands.aclose()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
