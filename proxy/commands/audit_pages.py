"""How the audit looks: tables for people, JSON for machines."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from proxy import terminal
from proxy.audit.query import JudgedCommand, Story
from proxy.audit.replay import ReplayReport
from proxy.audit.verify import VerifyReport
from proxy.audit.words import in_words
from proxy.commands.terminal_tables import print_table, say
from proxy.store.codec import plain
from proxy.terminal import json_text
from proxy.venues.binance.client_ids import inward, tag


@dataclass(frozen=True, slots=True, kw_only=True)
class Hindsight:
    """What the refused orders of a request would have come to, as whoever knows the prices since tells it.

    ``lines`` say when a result is read, and what it is; ``body`` is the same for JSON. ``unknown`` says why there is
    neither, where that is trouble.
    """

    lines: Sequence[tuple[str, str]] = ()
    body: Sequence[Any] = ()
    unknown: str = ""


def complain_progress(done: int, of: int) -> None:
    """How far a verification is, to standard error."""
    terminal.complain("audit", f"{done} of {of} records")


def print_rows(rows: Sequence[JudgedCommand], *, as_json: bool) -> None:
    """Judged commands, one per row."""
    if as_json:
        terminal.show_json([plain(row) for row in rows])
        return
    print_table(
        ("time (UTC)", "bot", "account", "command", "verdict", "why", "id"),
        [
            (f"{row.at:%Y-%m-%d %H:%M:%S}", row.bot, row.account, row.command, row.verdict, _why(row), row.id)
            for row in rows
        ],
        also_empty=True,
    )
    say(f"{len(rows)} shown" if rows else "nothing matches")


def print_story(story: Story, hindsight: Hindsight, *, as_json: bool) -> None:
    """Intent, decision and outcome of one request, and what its refused orders would have come to."""
    if as_json:
        terminal.show_json({**asdict(story), "counterfactual": hindsight.body})
        return
    rows: list[Sequence[object]] = []
    if story.intent is not None:
        asked = "; ".join(in_words(command) for command in story.intent["commands"])
        rows.append(("asked", story.intent["at"], f"{story.intent['bot']}: {asked}"))
    if story.decision is not None:
        for command, decided in zip(story.decision["commands"], story.decision["decisions"], strict=True):
            rows.append(("decided", story.decision["at"], f"{in_words(command)}: {_decided(decided)}"))
            if (named := command.get("client_order_id")) is not None:
                rows.append(("named", "", _named(story.decision, str(named))))
            for leave in _leave(story.decision, decided):
                rows.append(("let pass", "", leave))
        rows.append(("under", "", f"policy {story.decision['policy_version']}"))
    if story.outcome is not None:
        rows.append(("came of it", story.outcome["at"], _came_of_it(story.outcome)))
    for when, detail in hindsight.lines:
        rows.append(("had it been sent", when, detail))
    for record in story.others:
        rows.append((record["kind"], record["at"], json_text(record)))
    print_table(("what", "time (UTC)", "detail"), rows, also_empty=True)


def print_verification(report: VerifyReport, *, as_json: bool) -> None:
    """Whether the archive is whole."""
    if as_json:
        terminal.show_json(plain(report))
        return
    if report.ok:
        say(f"OK: {report.records} records in {len(report.chains)} chains, all whole, head {report.head_hash}")
    else:
        say(f"NOT OK ({report.wrong or 'not asked'}): {report.problem}")
        if report.first_bad is not None:
            say(f"first bad record: {report.first_bad}")
    if not report.sealed and not report.wrong:
        say(
            f"of an older layout, which the guard's next start seals:"
            f" {report.unsigned} records at the end are covered by no signature"
        )
    if report.checkpoints:
        say(f"{report.checkpoints} checkpoints, the newest by key {report.signed_by or '-'}; {_signed(report)}")
    elif report.ok or report.records:  # Of what could not be read at all there is nothing to say.
        say(f"no checkpoint yet; {_signed(report)}")
    say(", ".join(f"{kind}: {count}" for kind, count in report.counts.items()) or "no records")


def _signed(report: VerifyReport) -> str:
    if not report.signatures:
        return "signatures NOT checked: no public key was found, see --key"
    return "signatures fit" if report.ok else "signatures were checked as far as that"


def print_export(records: int, *, signed_by: str, as_json: bool) -> None:
    """That an export is as it was written, and by whom, where a key was given that tells."""
    if as_json:
        terminal.show_json({"ok": True, "records": records, "signed_by": signed_by})
        return
    whole = f", nothing is missing, signed by the key {signed_by}" if signed_by else ""
    say(f"OK: {records} records, their hashes fit{whole}")


def print_replay(report: ReplayReport, *, signed_by: str, as_json: bool) -> None:
    """Whether everything was decided as it would be again. ``signed_by`` is the key that signed an export, if known."""
    if as_json:
        terminal.show_json({"agree": report.agree, "signed_by": signed_by, **plain(report)})
        return
    if not report.decisions:
        say("nothing to replay: there is no decision among these records")
        return
    say(
        f"{'OK' if report.agree else 'NOT OK'}: {report.agreed} of {report.decisions} decisions agree,"
        f" {report.disagreed} differ, {report.missing} lack a document"
    )
    for each in report.disagreements:
        say(f"{each.at} {each.id}: {each.words}")
    if signed_by:
        say(f"the export is whole, signed by the key {signed_by}")


def _why(row: JudgedCommand) -> str:
    if not row.code:
        return ""
    numbers = f" ({row.observed or '?'}, limit {row.limit or '?'})" if row.observed or row.limit else ""
    room = f", headroom {row.headroom}" if row.headroom is not None else ""
    return f"{row.rule} {row.code}{numbers}{room}: {row.message}"


def _decided(decided: dict[str, Any]) -> str:
    reasons = [f"{breach['rule_id']} {breach['code']}: {breach.get('message', '')}" for breach in decided["breaches"]]
    headroom = decided.get("headroom")
    room = [f"headroom {headroom}"] if headroom is not None else []
    return "; ".join([decided["verdict"], *reasons, *room])


def _leave(record: dict[str, Any], decided: dict[str, Any]) -> list[str]:
    """The overrides that let a refused order pass, with their people, and what they overrode."""
    granted = {each["override_id"]: each for each in record["snapshot"].get("overrides", ())}
    lines = []
    for override_id in decided.get("overrides", ()):
        given = granted.get(override_id, {})
        people = f"asked for by {given.get('requested_by')}, approved by {given.get('approved_by')}"
        passed = [each for each in decided.get("overridden", ()) if each["rule_id"] == given.get("rule_id")]
        reasons = "; ".join(f"{each['rule_id']} {each['code']}: {each.get('message', '')}" for each in passed)
        lines.append(f"override {override_id}, ticket {given.get('ticket')}, {people}; {reasons}")
    return lines


def _named(record: dict[str, Any], upstream_id: str) -> str:
    """The bot's own id, and the one the venue has."""
    own = inward(upstream_id, tag(str(record.get("account")), str(record.get("bot"))))
    return upstream_id if own is None else f"{own}, at the venue {upstream_id}"


def _came_of_it(outcome: dict[str, Any]) -> str:
    details = [f"{name} {outcome[name]}" for name in ("http_status", "venue_code") if outcome.get(name) is not None]
    items = [json_text(each) for each in outcome.get("items", ())]
    return "; ".join([outcome["result"], *details, *items])
