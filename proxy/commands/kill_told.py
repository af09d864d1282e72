"""What `perpguard kill` prints. Nothing of it can fail: a reader that hangs up stops no kill. Standard library only."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, TextIO

from proxy.terminal import json_text, say

if TYPE_CHECKING:
    from proxy.certificate.keeping import Issued
    from proxy.certificate.shelf import CertificateShelf
    from proxy.kill.report import AccountReport, KillReport

NOT_DONE = "no order was cancelled, no position was closed, gates on other machines were not told"


class Telling:
    """Two places to print to, until they are gone. ``as_json`` makes of the first one JSON object."""

    def __init__(self, stdout: TextIO, stderr: TextIO, *, as_json: bool) -> None:
        self._stdout = stdout
        self._stderr = stderr
        self._as_json = as_json

    def say(self, text: str) -> None:
        """To whoever watches, in one line or several."""
        _print(text.split("\n"), self._stderr)

    def show(self, line: dict[str, Any]) -> None:
        """A line of a job as it is written."""
        self.say(json_text(line))

    def answer(self, *lines: str) -> None:
        """The outcome."""
        _print(lines, self._stdout)

    def began_nothing(self, why: str, done: str, next_step: str) -> None:
        """Nothing was cancelled or closed: why, what was done all the same, and what a person can do now."""
        if self._as_json:
            told = {"flat": False, "done": done, "not_done": NOT_DONE, "why": why, "next": next_step}
            self.answer(json_text(told))
        self.say(f"perpguard kill: {why}\nDONE: {done}\nNOT DONE: {NOT_DONE}\nNEXT: {next_step}")

    def stopped_nothing(self, why: str) -> None:
        """Not even entries."""
        if self._as_json:
            self.answer(json_text({"flat": False, "done": "nothing", "not_done": "NOTHING was stopped", "why": why}))
        self.say(f"perpguard kill: {why}; NOTHING was stopped")

    def ended(self, report: KillReport, issued: Issued | None, shelf: CertificateShelf) -> None:
        """``issued`` is ``None`` where the warden ran the kill: it issues the certificates itself."""
        from proxy.store import codec

        if self._as_json:
            certificates = {} if issued is None else {"certificates": codec.plain(issued)}
            self.answer(json_text(codec.plain(report) | certificates))
            return
        for account in report.accounts:
            self.answer(*_summary(account))
        for each in report.not_touched:
            self.answer(f"NOT TOUCHED: {each}")
        self.answer(*_in_flight(report))
        for certified in issued.certificates if issued is not None else ():
            self.answer(f"certificate of {certified.phase}: {shelf.path(certified.id)}")
        for trouble in issued.troubles if issued is not None else ():
            self.answer(f"NO CERTIFICATE: {trouble}")


def _print(lines: Iterable[str], file: TextIO) -> None:
    try:
        say(*lines, to=file, flush=True)
    except (OSError, ValueError):
        # What is buffered still must not be tried again at the exit, nor by whatever logs meanwhile.
        try:
            os.dup2(os.open(os.devnull, os.O_WRONLY | os.O_CLOEXEC), file.fileno())
        except (OSError, ValueError):
            return


def _in_flight(report: KillReport) -> list[str]:
    if report.in_flight is None:
        return []
    if not report.in_flight.known:
        return ["IN FLIGHT at the press: not known, the store does not say"]
    return [
        f"IN FLIGHT at the press: a request of {each.bot} on {each.account}: {each.became or 'its end is not known'}"
        for each in report.in_flight.sent
    ]


def _summary(report: AccountReport) -> list[str]:
    from proxy.store.scope import part_in_words

    closed = ", ".join(f"{each.quantity} {each.symbol}" for each in report.closed) or "none"
    part, joined = part_in_words(report.scope, report.account), ", joined" if report.joined else ""
    lines = [
        f"{part}: {report.phase.value} (job {report.job_id}{joined})",
        f"  orders cancelled: {report.cancelled}; positions closed: {closed}",
    ]
    if report.flat_ms is not None and report.verified_ms is not None:
        lines.append(f"  flat after {report.flat_ms / 1000:.1f} s, verified after {report.verified_ms / 1000:.1f} s")
    lines += [f"  LEFT: {each}" for each in report.left]
    return lines + [f"  {each}" for each in (report.why, report.advice, report.trouble) if each]
