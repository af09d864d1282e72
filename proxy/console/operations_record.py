"""What the routes about the record take and answer, for ``routing.add``: one constant a route, as in ``operations``."""

from __future__ import annotations

from typing import Final

from proxy.alerts.plane import AlertsView, AlertView, TrialView
from proxy.audit.plane import AuditView
from proxy.console import examples_record as examples
from proxy.console.bodies import TEXT_LENGTH_MAX
from proxy.console.describing import Answer, Body, described, named_body, reads
from proxy.console.texts import DECISION_ID, LINE, QUERY_ACCOUNT, QUERY_SCOPE, QUERY_SYMBOL, Text
from proxy.kill.preview_plane import KillPreview
from proxy.ledger.plane import LedgerView
from proxy.reasons.inquiry import Told, WhatIf
from proxy.vault.plane import KeysView

_ALERT_ID: Final = Text(
    name="alert_id",
    says="as the list gives it",
    example=examples.ALERT.id,
    accepts={"pattern": "^[A-Za-z0-9-]{1,40}$"},
)
_CHANNEL: Final = Text(name="channel", says="as the list gives it", example="pager", accepts=LINE)
_NUMBER: Final = r" *(?=[0-9.]*[1-9])(0|[1-9][0-9]{0,11})(\.[0-9]{1,18})? *"
_QUANTITY: Final = Text(
    name="quantity",
    says="a decimal above zero, in base units",
    example="0.3",
    accepts={"pattern": f"^{_NUMBER}$", "maxLength": TEXT_LENGTH_MAX},
)
_PRICE: Final = Text(
    name="price",
    says="a decimal above zero; empty, or not said: as it was recorded",
    example="",
    accepts={"pattern": f"^({_NUMBER})?$", "maxLength": TEXT_LENGTH_MAX},
)
_ITEM: Final = Text(
    name="item",
    says="which command of the request, from 0; not said: the first",
    example="0",
    accepts={"pattern": "^[0-9]{1,3}$"},
)
_LEDGER_BOT: Final = Text(
    name="bot", says="of this bot; `-`: what no bot did; empty: of all", example="-", accepts=LINE
)

RULES: Final = reads(
    Told, examples.RULES, "Every rule in its order.", path=(DECISION_ID,), problems=("NO_SUCH_DECISION",)
)
WHAT_IF: Final = described(
    Answer(shape=WhatIf, example=examples.WHAT_IF, says="What the rules would have said; no order is sent."),
    path=(DECISION_ID,),
    body=Body(needed=(_QUANTITY,), optional=(_PRICE, _ITEM)),
    problems=("REFUSED", "SLOW", "NO_SUCH_DECISION", "WHAT_IF", "NOTHING_TO_TRY"),
)
PREVIEW: Final = reads(
    KillPreview,
    examples.PREVIEW,
    "What a press would cancel and close, and at what cost.",
    query=(QUERY_SCOPE,),
    problems=("UNKNOWN_SCOPE",),
)
ALERTS: Final = described(
    Answer(shape=AlertsView, example=examples.ALERTS, says="Open ones worst first, past ones newest first.")
)
ALERT_ACKNOWLEDGE: Final = described(
    Answer(shape=AlertView, example=examples.ALERT, says="The alert as it stands now."),
    path=(_ALERT_ID,),
    body=named_body(),
    problems=("NOT_FOUND",),
)
ALERT_TEST: Final = described(
    Answer(shape=TrialView, example=examples.TRIAL, says="Whether the channel took it."),
    body=named_body(_CHANNEL),
    problems=("REFUSED",),
)
KEYS: Final = reads(KeysView, examples.KEYS, "Without the keys themselves.")
AUDIT: Final = reads(AuditView, examples.AUDIT, "As it stands.")
LEDGER: Final = reads(
    LedgerView, examples.LEDGER, "Of all, or of what was asked for.", query=(QUERY_ACCOUNT, _LEDGER_BOT, QUERY_SYMBOL)
)
