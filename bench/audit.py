"""What questions to a million audit records cost, and the export of a month of them.

The records are shaped like a desk's: for every order an intent, a decision with its snapshot, and, where it was let
pass, an outcome; twelve bots, four accounts, forty symbols, every third order refused by one of ten rules, over a
quarter of a year. They go in by the archive's own door. Each question is asked over a connection of its own each time;
the first is only the first, not cold: whoever wrote the records, and the questions before it, left much of the archive
in memory. The export runs in a process of its own, whose largest memory is read from the kernel.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import random
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

from bench.machine import machine
from proxy.audit.archive import Archive
from proxy.audit.place import archive_place
from proxy.audit.query import blocked, counts_by_code, decision, events
from proxy.audit.reader import ArchiveReader
from proxy.clock import utc_now
from proxy.practice.ending import ends_in_order
from proxy.signatures.signing import trusted_key
from proxy.store.codec import plain
from proxy.vault.signing_keys import new_signing_key
from proxy.venues.binance.client_ids import outward, tag
from tests.proxy.audit.conftest import Desk

RECORDS: Final = 1_000_000
DAYS: Final = 90
BATCH: Final = 2_000
TIMES: Final = 20

_END: Final = datetime(2026, 11, 1, tzinfo=UTC)
_BOTS: Final = [(f"bot-{number:02}", f"account-{number % 4}") for number in range(12)]
_SYMBOLS: Final = [f"X{number:02}USDT" for number in range(40)]
_RULES: Final = [(f"rule_{number}", f"CODE_{number}") for number in range(10)]
_MEASURE: Final = {"observed": "18230.50", "limit": "100000.00", "level": "account:account-1", "share": "0.18"}
_HOLD: Final = {
    "id": "h-00001",
    "symbol": "X17USDT",
    "side": "BUY",
    "quantity": "0.125",
    "price": "61250.5",
    "bot": "b",
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Fill, ask, export and print."""
    parser = argparse.ArgumentParser(prog="bench.audit", description="Questions to a large archive, and its export.")
    parser.add_argument("--records", type=int, default=RECORDS, help=f"default {RECORDS}")
    parser.add_argument(
        "--data-dir", type=Path, help="keep the archive here and use it again; default: a temporary one"
    )
    parser.add_argument("--export", choices=("jsonl", "csv", "parquet"), help=argparse.SUPPRESS)
    args = parser.parse_args(arguments)
    if args.export is not None:
        return export(args.data_dir, args.export)
    with tempfile.TemporaryDirectory() as directory:
        data_dir = args.data_dir or Path(directory)
        place = archive_place(data_dir)
        if not place.anchor.exists():
            began = time.perf_counter()
            fill(data_dir, args.records)
            print(f"{args.records} records written in {time.perf_counter() - began:.0f} s\n")
        print(questions(data_dir))
        print(exports(data_dir))
        kind = "SQLite" if place.url is None else "PostgreSQL"
        print(f"{kind}; {machine()}; {utc_now():%Y-%m-%d %H:%M} UTC")
    return 0


def fill(data_dir: Path, count: int) -> None:
    """Write ``count`` records."""
    key = new_signing_key(_END)
    keys = [trusted_key(key.public_key.encode())]
    with Archive.open(archive_place(data_dir), lambda: key, keys=lambda: keys) as archive:
        batch: list[tuple[str, dict[str, Any]]] = []
        for number, record in enumerate(records(count)):
            batch.append((f"{number}-1", record))
            if len(batch) == BATCH:
                archive.append(batch)
                batch = []
        archive.append(batch)


def records(count: int) -> Iterator[dict[str, Any]]:
    """A desk's records, oldest first."""
    dice, desk = random.Random(1), Desk()
    intent, judged, outcome = desk.intent(1), desk.decision(1, "3"), desk.outcome(1)
    refused, snapshot = judged["decisions"][0], judged["snapshot"]
    breach = refused["breaches"][0]
    # Every rule says what it measured, and the snapshot has what else was under way: that is most of a decision.
    refused = refused | {"measures": [_MEASURE | {"rule_id": rule, "code": code} for rule, code in _RULES * 4]}
    snapshot = snapshot | {"holds": [_HOLD] * 6}
    passed = refused | {"verdict": "ALLOW", "breaches": []}
    made = 0
    for number in range(count):
        at = _END - timedelta(days=DAYS) + timedelta(days=DAYS) * (made / count)
        (bot, account), symbol, deny = dice.choice(_BOTS), dice.choice(_SYMBOLS), dice.random() < 1 / 3
        rule, code = dice.choice(_RULES)
        own = f"x-{number:08}-{dice.randrange(10**6):06}"
        named = {"id": f"d{number:08}", "at": plain(at), "bot": bot, "account": account}
        command = judged["commands"][0] | {"symbol": symbol, "client_order_id": outward(own, tag(account, bot))}
        told = breach | {
            "rule_id": rule,
            "code": code,
            "message": f"order {number} of {symbol} is beyond what {rule} lets",
        }
        decided = refused | {"breaches": [told]} if deny else passed
        yield intent | named | {"commands": [command]}
        yield judged | named | {"commands": [command], "decisions": [decided], "snapshot": snapshot | {"bot": bot}}
        made += 2
        if not deny:
            yield outcome | {"id": named["id"], "at": plain(at)}
            made += 1
        if number % 1_000 == 0:
            yield desk.event(f"e{number}") | {"at": plain(at)}
            made += 1
        if made >= count:
            return


def questions(data_dir: Path) -> str:
    """A table of what each question took: by the clock, and of the processor."""
    month_ago = _END - timedelta(days=30)
    with ArchiveReader.open(archive_place(data_dir)) as archive:
        first = blocked(archive, limit=100)
        deep = _page(archive, 50)
        asked: dict[str, Callable[[ArchiveReader], Any]] = {
            "the newest 100 refused": lambda each: blocked(each),
            "the fiftieth page of them": lambda each: blocked(each, before=deep),
            "of a bot": lambda each: blocked(each, bot="bot-03"),
            "of an account, a rule and a symbol": lambda each: blocked(
                each, account="account-1", rule="rule_3", symbol="X17USDT"
            ),
            "of a code, in a month": lambda each: blocked(each, code="CODE_5", since=month_ago, until=_END),
            "of a bot that is not there": lambda each: blocked(each, bot="nobody"),
            "of two that never met": lambda each: blocked(each, bot="bot-03", account="account-1"),
            "with a client id in it": lambda each: blocked(each, text=first.rows[-1].client_order_id),
            "with a word that is nowhere": lambda each: blocked(each, text="nowhere at all"),
            "one decision whole": lambda each: decision(each, first.rows[50].id),
            "the newest 100 events": lambda each: events(each),
            "refusals by code, in a month": lambda each: counts_by_code(each, since=month_ago),
        }
    lines = ["| question | first ms | p50 ms | max ms | p50 CPU ms |", "|---|---|---|---|---|"]
    for name, ask in asked.items():
        took = [_timed(data_dir, ask) for _ in range(TIMES)]
        clock = [each for each, _ in took]
        cpu = statistics.median(each for _, each in took)
        lines.append(f"| {name} | {clock[0]:.0f} | {statistics.median(clock):.0f} | {max(clock):.0f} | {cpu:.0f} |")
    return "\n".join(lines) + "\n"


def _page(archive: ArchiveReader, number: int) -> str | None:
    before = None
    for _ in range(number):
        before = blocked(archive, before=before).next
    return before


def _timed(data_dir: Path, ask: Callable[[ArchiveReader], Any]) -> tuple[float, float]:
    """Milliseconds by the clock and of this process's CPU, the connection included: as the console asks."""
    began, cpu = time.perf_counter(), time.process_time()
    with ArchiveReader.open(archive_place(data_dir)) as archive:
        ask(archive)
    return (time.perf_counter() - began) * 1000, (time.process_time() - cpu) * 1000


def exports(data_dir: Path) -> str:
    """A table of what the export of a month took, in each format."""
    lines = ["| format | records | s | CPU s | MB written | MB of memory |", "|---|---|---|---|---|---|"]
    for form in ("jsonl", "csv", "parquet"):
        command = [sys.executable, "-m", "bench.audit", "--data-dir", str(data_dir), "--export", form]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        lines.append(done.stdout.strip())
    return "\n".join(lines) + "\n"


def export(data_dir: Path, form: str) -> int:
    """The newest 30 days in one format, in this process."""
    from proxy.cli import main as perpguard

    output = data_dir / f"month.{form}"
    since = _END - timedelta(days=30)
    words = ["export", "--format", form, "--since", since.isoformat(), "--output", str(output)]
    began = time.perf_counter()
    with contextlib.redirect_stdout(io.StringIO()):
        code = perpguard(["--data-dir", str(data_dir), "audit", *words])
    took = time.perf_counter() - began
    usage = resource.getrusage(resource.RUSAGE_SELF)
    memory = usage.ru_maxrss / 1024
    with ArchiveReader.open(archive_place(data_dir)) as archive:
        from proxy.audit.selection import Selection

        count = Selection(since=since).count(archive)
    cpu, written = usage.ru_utime + usage.ru_stime, output.stat().st_size / 2**20
    print(f"| {form} | {count} | {took:.0f} | {cpu:.0f} | {written:.0f} | {memory:.0f} |")
    output.unlink()
    return code


if __name__ == "__main__":
    ends_in_order()
    sys.exit(main())
