"""What the routes of the control API take and answer, for ``routing.add``: one constant a route."""

from __future__ import annotations

from typing import Final

from proxy.console import examples, shapes
from proxy.console.describing import Answer, Body, described, named_body, reads
from proxy.console.desk_views import DeskView, OverrideView, PolicyOutcome
from proxy.console.history_plane import HistoryView
from proxy.console.plane import Blocked, DecisionStory
from proxy.console.texts import (
    ACKNOWLEDGED,
    BY,
    BY_NAME,
    CALL,
    CERTIFICATE_ID,
    DECISION_ID,
    DIGEST,
    DRILL_ID,
    GROUNDS,
    KIND,
    LIMIT,
    OVERRIDE_ID,
    POLICY_DIGEST,
    POLICY_TEXT,
    QUERY_ACCOUNT,
    QUERY_BEFORE,
    QUERY_BOT,
    QUERY_RULE,
    QUERY_SCOPE,
    QUERY_SYMBOL,
    REASON,
    SCOPE,
    SIGNED,
    TERMS,
    TYPED,
)
from proxy.drill.plane import DrillProgress
from proxy.drill.shelf import DrillReport
from proxy.kill.press_plane import Pressed, Reduced
from proxy.kill.rearm_plane import RearmView
from proxy.signals.plane import SignalsView

HEALTH: Final = described(Answer(shape=shapes.Health, example={"status": "ok"}, says="This port answers."), query=None)
DESK: Final = reads(DeskView, examples.DESK, "The desk in one glance.")
SIGNALS: Final = reads(SignalsView, examples.SIGNALS, "At one moment.", query=(QUERY_SYMBOL,))
HISTORY: Final = reads(HistoryView, examples.HISTORY, "In numbers, oldest first.")
BLOCKED: Final = reads(
    Blocked,
    examples.BLOCKED,
    "The newest first.",
    query=(QUERY_BOT, QUERY_RULE, QUERY_ACCOUNT, QUERY_BEFORE, LIMIT),
    problems=("LIMIT",),
)
DECISION: Final = reads(
    DecisionStory, examples.DECISION, "The whole story.", path=(DECISION_ID,), problems=("NO_SUCH_DECISION",)
)

KILL: Final = described(
    Answer(shape=Pressed, example=examples.PRESSED, says="Trading is blocked; the job runs on.", status=202),
    body=Body(needed=(SCOPE, REASON), machine_optional=(BY,)),
    problems=("REFUSED",),
)
REDUCE: Final = described(
    Answer(shape=Reduced, example=examples.REDUCED, says="Which accounts were not so before."),
    body=Body(needed=(SCOPE, REASON), machine=(BY_NAME,)),
    problems=("REFUSED",),
)
KILL_PROGRESS: Final = reads(shapes.KillProgress, examples.KILL, "How far it is.")
COMMAND: Final = described(
    Answer(
        shape=(Pressed, Reduced),
        example=examples.PRESSED,
        says="It has taken effect: what pressing answers, or what is reduce-only now.",
        status=202,
    ),
    body=Body(needed=SIGNED),
    problems=(
        "BAD_SIGNATURE",
        "OTHER_DESK",
        "UNKNOWN_COMMAND",
        "NONCE",
        "AT",
        "STALE_COMMAND",
        "REPLAYED",
        "TOO_MANY_COMMANDS",
        "TOO_MANY_ATTEMPTS",
        "REFUSED",
    ),
)
CERTIFICATES: Final = reads(shapes.Certificates, examples.CERTIFICATES, "The newest first.")
CERTIFICATE: Final = described(
    Answer(
        shape=shapes.ANYTHING,
        example={"kind": "account", "phase": "FLAT"},
        says="The file, byte for byte; as `application/octet-stream` when it does not verify.",
        raw=True,
    ),
    path=(CERTIFICATE_ID,),
    problems=("REFUSED", "SLOW", "NO_SUCH_CERTIFICATE"),
)

_REARMED: Final = Answer(shape=RearmView, example=examples.BACK, says="Where the scope stands now.")
REARM_STATE: Final = reads(
    shapes.Rearming,
    {"scopes": [examples.STOPPED]},
    "With what must hold.",
    query=(QUERY_SCOPE,),
    problems=("UNKNOWN_SCOPE",),
)
REARM: Final = described(
    Answer(shape=RearmView, example=examples.BACK, says="A bot that a rule stopped goes on."),
    Answer(shape=RearmView, example=examples.ASKED, says="The request waits.", status=202),
    body=named_body(SCOPE, GROUNDS, TYPED, optional=(POLICY_DIGEST, ACKNOWLEDGED), loosens=True),
    problems=("REFUSED",),
)
REARM_APPROVE: Final = described(_REARMED, body=named_body(SCOPE, GROUNDS, TYPED, loosens=True), problems=("REFUSED",))
REARM_WITHDRAW: Final = described(_REARMED, body=named_body(SCOPE, REASON), problems=("REFUSED",))

DRILLS: Final = reads(shapes.Drills, {"drills": [examples.DRILL]}, "The newest first.")
DRILL_REPORT: Final = reads(DrillReport, examples.DRILL, "The report.", path=(DRILL_ID,), problems=("NO_SUCH_DRILL",))
DRILL_PROGRESS: Final = reads(shapes.Drill, {"drill": examples.DRILL_RUNS}, "How far it is.")
DRILL: Final = described(
    Answer(shape=DrillProgress, example=examples.DRILL_RUNS, says="It runs.", status=202),
    body=named_body(KIND),
    problems=("REFUSED", "DRILL_KIND"),
)

_OVERRIDE: Final = Answer(shape=OverrideView, example=examples.OVERRIDE, says="The override as it stands now.")
OVERRIDE: Final = described(_OVERRIDE, body=named_body(*TERMS), problems=("REFUSED", "TERMS"))
OVERRIDE_APPROVE: Final = described(_OVERRIDE, body=named_body(OVERRIDE_ID, loosens=True), problems=("REFUSED",))
OVERRIDE_WITHDRAW: Final = described(_OVERRIDE, body=named_body(OVERRIDE_ID), problems=("REFUSED",))

POLICY: Final = described(
    Answer(shape=PolicyOutcome, example=examples.PENDING, says="In force, or pending where it loosens."),
    body=named_body(POLICY_TEXT, GROUNDS, loosens=True),
    problems=("REFUSED",),
)
POLICY_APPROVE: Final = described(
    Answer(shape=PolicyOutcome, example=examples.IN_FORCE, says="What is in force now."),
    body=named_body(DIGEST, GROUNDS, loosens=True),
    problems=("REFUSED", "DIGEST"),
)
POLICY_WITHDRAW: Final = described(
    Answer(shape=PolicyOutcome, example=examples.IN_FORCE, says="What is in force, as before."),
    body=named_body(DIGEST, REASON),
    problems=("REFUSED", "DIGEST"),
)

WATCHDOG: Final = described(
    Answer(shape=shapes.Sealed, example={"answer": "b3BlbiBzZXNhbWU"}, says="For who can open it."),
    body=Body(needed=(CALL,)),
    problems=("UNAUTHENTICATED",),
)
