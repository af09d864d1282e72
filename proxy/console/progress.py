"""A kill's progress and the refusals as the page shows them: what the plane told becomes bounded text."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from proxy.audit.judged import JudgedCommand
from proxy.kill.press_plane import AccountKill, Kill
from proxy.store.codec import plain
from proxy.store.scope import bot_in, part_in_words

_STEPS: Final = (
    ("ENGAGED", "Pressed"),
    ("KEYS_DISABLED", "Bots blocked"),
    ("CANCELLING", "Cancelling orders"),
    ("FLATTENING", "Closing positions"),
    ("VERIFYING", "Reading back"),
    ("FLAT", "Flat"),
)
_PHASES: Final = [phase for phase, _ in _STEPS]
_ENDS: Final = {"FLAT", "FLAT_EXCEPT_DUST", "DEGRADED"}
_READ_BACKS: Final = 3
_STORY_MAX: Final = 40
_LEFT_MAX: Final = 20
_TEXT_MAX: Final = 400


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """One step of the ladder: ``done``, ``now`` or ``ahead``."""

    label: str
    stands: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountProgress:
    """One account's kill, or that of a bot's part of it. ``end`` is empty while it runs, ``certificate`` until there is
    one: then it is its id."""

    name: str
    phase: str
    end: str
    stages: tuple[Stage, ...]
    read_backs: int
    story: tuple[tuple[str, str], ...]
    left: tuple[str, ...]
    why: str
    advice: str
    certificate: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """The newest job. ``unreadable``: how far it is cannot be told, and nothing else here says anything.

    ``left_open`` are scopes, account or bot, whose kill was an earlier one and did not end flat, ``unknown`` the
    accounts whose journal cannot be read.
    """

    running: bool
    flat: bool
    scope: str
    by: str
    reason: str
    flat_ms: float | None
    accounts: tuple[AccountProgress, ...]
    started_at: str = ""
    unreadable: bool = False
    left_open: tuple[str, ...] = ()
    unknown: tuple[str, ...] = ()

    @property
    def bot(self) -> str:
        """The bot whose part alone it makes flat; empty where it is of whole accounts."""
        return bot_in(self.scope)

    @property
    def flat_but_dust(self) -> bool:
        """Whether nothing is left but remainders too small for the venue to take."""
        return bool(self.accounts) and all(each.end in ("FLAT", "FLAT_EXCEPT_DUST") for each in self.accounts)


UNREADABLE: Final = Progress(
    running=False, flat=False, scope="", by="", reason="", flat_ms=None, accounts=(), unreadable=True
)
"""Stands for a look that failed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BlockedRow:
    """One refusal."""

    at: str
    bot: str
    account: str
    command: str
    rule: str
    code: str
    observed: str
    limit: str
    headroom: str
    message: str
    decision_id: str


def progress_of(job: Kill | None, certified: Callable[[str], bool]) -> Progress | None:
    """The plane's job, fit to be shown. ``certified`` says whether a job has its certificate."""
    if job is None:
        return None
    return Progress(
        unreadable=bool(job.unreadable) and not job.accounts,
        left_open=tuple(map(text, job.left_open)),
        unknown=tuple(map(text, job.unreadable)),
        running=job.running,
        flat=job.flat,
        scope=text(job.scope),
        by=text(job.by),
        reason=text(job.reason),
        flat_ms=job.flat_ms,
        started_at=text(job.started_at),
        accounts=tuple(_account(each, certified) for each in job.accounts),
    )


def rows_of(rows: Sequence[JudgedCommand], most: int) -> list[BlockedRow]:
    """The plane's refusals, fit to be shown."""
    return [
        BlockedRow(
            at=text(plain(row.at)),
            bot=text(row.bot),
            account=text(row.account),
            command=text(row.command),
            rule=text(row.rule),
            code=text(row.code),
            observed=text(row.observed),
            limit=text(row.limit),
            headroom=text(row.headroom),
            message=text(row.message),
            decision_id=text(row.id),
        )
        for row in rows[:most]
    ]


def text(value: object) -> str:
    """Any value as bounded text; ``None`` as nothing. A venue's lone surrogate could not be quoted into an address."""
    return "" if value is None else str(value)[:_TEXT_MAX].encode("utf-8", "replace").decode("utf-8")


def _account(account: AccountKill, certified: Callable[[str], bool]) -> AccountProgress:
    phase, job_id = text(account.phase), text(account.job_id)
    return AccountProgress(
        name=part_in_words(text(account.scope), text(account.name)),
        phase=phase,
        end=phase if phase in _ENDS else "",
        stages=_stages(phase),
        read_backs=min(len(account.read_backs), _READ_BACKS),
        story=tuple((text(plain(step.at)), text(step.what)) for step in account.steps[-_STORY_MAX:]),
        left=tuple(map(text, account.left[:_LEFT_MAX])),
        why=text(account.why),
        advice=text(account.advice),
        certificate=job_id if phase in _ENDS and job_id and certified(job_id) else "",
    )


def _stages(phase: str) -> tuple[Stage, ...]:
    return tuple(Stage(label=label, stands=_stands(at, phase)) for at, (_, label) in enumerate(_STEPS))


def _stands(at: int, phase: str) -> str:
    if phase in ("FLAT", "FLAT_EXCEPT_DUST"):
        return "done"
    if phase == "DEGRADED":  # Blocked for certain; that orders or positions are gone is not proven.
        return "done" if at <= _PHASES.index("KEYS_DISABLED") else "ahead"
    position = _PHASES.index(phase) if phase in _PHASES else -1
    return "done" if at < position else "now" if at == position else "ahead"
