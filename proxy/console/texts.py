"""The texts that the control API takes, each with exactly what is accepted, as JSON Schema says it.

The readers in ``bodies`` and beside the routes are the judge; the tests hold these descriptions against them. All
values are texts, as a form or a query has them: there are no numbers to misread.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from proxy.console.bodies import FILE_LENGTH_MAX, NAME_LENGTH_MAX, TEXT_LENGTH_MAX
from proxy.drill.plane import DRILL_KINDS
from proxy.kill.signed import Command
from proxy.overrides.terms import TICKET_LENGTH_MAX
from proxy.people.names import REASON_LENGTH_MIN
from rules.model import Side

BLOCKED_MAX: Final = 500
BLOCKED_DEFAULT: Final = 100
"""Rows of one answer."""

_SEEN: Final = r"[^\p{C}\p{Z}]"
"""A character that shows: what Python calls printable is this, and the blank."""
_SHOWN: Final = rf"( |{_SEEN})"
LINE: Final = {"pattern": f"^{_SHOWN}*$", "maxLength": TEXT_LENGTH_MAX}
"""One line of printable characters."""


def _within_blanks(low: int, high: int | None = None) -> Mapping[str, Any]:
    """A line of so many characters, not counting blanks around it."""
    most = "" if high is None else max(high - 2, 0)
    core = rf"{_SEEN}{_SHOWN}{{{max(low - 2, 0)},{most}}}{_SEEN}"
    single = rf"|{_SEEN}" if low == 1 else ""
    return {"pattern": f"^ *({core}{single}) *$", "maxLength": TEXT_LENGTH_MAX}


@dataclass(frozen=True, slots=True, kw_only=True)
class Text:
    """One of them. ``accepts`` are keywords of JSON Schema, besides ``type: string``; ``number``: a query's integer."""

    name: str
    says: str
    example: str
    accepts: Mapping[str, Any]
    number: bool = False

    def schema(self) -> dict[str, Any]:
        """What is accepted, and what it means."""
        kind = "integer" if self.number else "string"
        shown: Any = int(self.example) if self.number else self.example
        return {"type": kind, **self.accepts, "description": self.says, "examples": [shown]}


_NAME: Final = _within_blanks(2, NAME_LENGTH_MAX)
_SCOPE_NAMED: Final = "(venue|account|bot):[A-Za-z0-9._-]{1,32}"

SCOPE: Final = Text(
    name="scope",
    says="`desk`, `venue:NAME`, `account:NAME` or `bot:NAME`",
    example="account:main",
    accepts={"pattern": f"^(desk|{_SCOPE_NAMED})$"},
)
REASON: Final = Text(name="reason", says="why, for the record", example="the feed is repaired", accepts=LINE)
GROUNDS: Final = Text(
    name="reason",
    says=f"why, for the record; one shorter than {REASON_LENGTH_MIN} characters is refused",
    example="the feed is repaired",
    accepts=LINE,
)
BY: Final = Text(
    name="by",
    says="who presses; not said, or empty, it is `holder of the control token`",
    example="pager",
    accepts={"anyOf": [_NAME, {"maxLength": 0}]},
)
BY_NAME: Final = Text(name="by", says="who wants it, for the record", example="pager", accepts=_NAME)
NAME: Final = Text(
    name="name",
    says=f"the person on whose word it is: 2 to {NAME_LENGTH_MAX} characters, blanks around them aside",
    example="Ada Lovelace",
    accepts=_NAME,
)
PROOF: Final = Text(
    name="proof",
    says="the person's password, or a new code of their authenticator app: an unlocked screen is not enough",
    example="correct horse battery staple",
    accepts=LINE,
)
TYPED: Final = Text(
    name="typed", says="the scope's name once more, typed by hand", example="account:main", accepts=LINE
)
POLICY_DIGEST: Final = Text(
    name="policy", says="the digest of the policy in force", example="a1b2c3d4e5f60718", accepts=LINE
)
ACKNOWLEDGED: Final = Text(
    name="acknowledged", says="what is left open, each symbol named", example="BTCUSDT 0.25 long stays", accepts=LINE
)
DIGEST: Final = Text(
    name="digest", says="which proposal", example="a1b2c3d4e5f60718", accepts={"pattern": "^[0-9a-f]{16}$"}
)
POLICY_TEXT: Final = Text(
    name="text",
    says="the whole policy file, TOML",
    example='[policy]\nname = "calm"\nowner = "risk@desk.example"\n',
    accepts={"pattern": rf"^([\n\r\t ]|{_SEEN})*$", "maxLength": FILE_LENGTH_MAX},
)
KIND: Final = Text(
    name="kind",
    says="`practice` against the practice exchange, `dry` on the live account without a send",
    example="practice",
    accepts={"enum": list(DRILL_KINDS)},
)
OVERRIDE_ID: Final = Text(name="id", says="which override", example="0123456789", accepts=LINE)

TERMS: Final = (
    Text(name="bot", says="whose order", example="momentum", accepts=LINE),
    Text(name="symbol", says="the venue's name of it", example="BTCUSDT", accepts=LINE),
    Text(name="side", says="of the order", example="BUY", accepts={"enum": [side.value for side in Side]}),
    Text(name="rule", says="which rule it may pass", example="max_order_value", accepts=LINE),
    Text(
        name="quantity_max",
        says="at most so much, in base units: a plain decimal above zero",
        example="0.5",
        accepts={"pattern": r"^(?=.*[1-9])(0|[1-9][0-9]{0,11})(\.[0-9]{1,18})?$"},
    ),
    Text(
        name="expires",
        says="how long after the approval: seconds, minutes or hours, at most one hour",
        example="10m",
        accepts={"pattern": "^(([1-9][0-9]{0,2}|[12][0-9]{3}|3[0-5][0-9]{2}|3600)s|([1-9]|[1-5][0-9]|60)m|1h)$"},
    ),
    Text(
        name="ticket",
        says=f"the desk's own number: 1 to {TICKET_LENGTH_MAX} characters",
        example="RISK-17",
        accepts=_within_blanks(1, TICKET_LENGTH_MAX),
    ),
    Text(
        name="reason",
        says=f"for whoever approves, at least {REASON_LENGTH_MIN} characters",
        example="close the hedge of desk B",
        accepts=_within_blanks(REASON_LENGTH_MIN),
    ),
)

SIGNED: Final = (
    Text(
        name="command",
        says="what to do",
        example="kill",
        accepts=LINE | {"examples": [each.value for each in Command]},
    ),
    Text(name="desk", says="the desk's name in its settings", example="tokyo", accepts=LINE),
    SCOPE,
    Text(name="by", says="whose key signed it", example="Ada Lovelace", accepts=LINE),
    REASON,
    Text(name="at", says="now, with its offset; two minutes count", example="2026-12-31T09:00:00Z", accepts=LINE),
    Text(name="nonce", says="used once", example="4vJ9JU1bJJE96FWSJKvHsmmFADCg4gpz", accepts=LINE),
    Text(name="signature", says="Ed25519, base64", example="MEUCIQDx…", accepts=LINE),
)
CALL: Final = Text(name="call", says="a sealed call", example="b3BlbiBzZXNhbWU", accepts=LINE)

QUERY_BOT: Final = Text(name="bot", says="of this bot; empty: of all", example="momentum", accepts=LINE)
QUERY_RULE: Final = Text(name="rule", says="by this rule; empty: by all", example="max_order_value", accepts=LINE)
QUERY_BEFORE: Final = Text(
    name="before",
    says="the `next` of the page before; empty: the newest",
    example="1795512581000000-4711-0",
    accepts=LINE,
)
QUERY_ACCOUNT: Final = Text(name="account", says="on this account; empty: on all", example="main", accepts=LINE)
QUERY_SYMBOL: Final = Text(name="symbol", says="about this symbol; empty: about all", example="BTCUSDT", accepts=LINE)
QUERY_SCOPE: Final = Text(
    name="scope",
    says="this scope alone; empty: all",
    example="desk",
    accepts={"pattern": f"^(|desk|{_SCOPE_NAMED})$"},
)

DECISION_ID: Final = Text(
    name="decision_id",
    says="as the header `X-Guard-Decision` gave it",
    example="01JD3M-7f",
    accepts={"pattern": "^[A-Za-z0-9._:~-]{1,128}$"},
)
CERTIFICATE_ID: Final = Text(
    name="certificate_id",
    says="as the list gives it",
    example="20261124T093000000000-0a1b2c3d",
    accepts={"pattern": "^[A-Za-z0-9-]{1,64}$"},
)
DRILL_ID: Final = Text(
    name="drill_id",
    says="as the list gives it",
    example="20261124T093000000000",
    accepts={"pattern": "^[0-9T]{1,32}$"},
)
CODE: Final = Text(name="code", says="of a problem", example="REFUSED", accepts={"pattern": "^[A-Z][A-Z_]{1,63}$"})

LIMIT: Final = Text(
    name="limit",
    says=f"how many rows; {BLOCKED_DEFAULT} when it is not said",
    example="20",
    accepts={"minimum": 1, "maximum": BLOCKED_MAX},
    number=True,
)
