"""What regulators, clearing houses and trade bodies ask of a pre-trade control, clause by clause, in our own words.

``perpguard coverage`` holds the policy in force against this list. It is a map, not advice on law: whether a clause
binds a desk, and whether what is covered here suffices, is for the desk's compliance officer.

Sources: RTS 6 = Commission Delegated Regulation (EU) 2017/589; RTS 7 = 2017/584; 15c3-5 = SEC rule 17 CFR 240.15c3-5;
FIA 2024 = FIA best practices for automated trading risk controls, July 2024; ESMA 2026 = supervisory briefing on
algorithmic trading, February 2026; Eurex = Eurex clearing's and exchange's published risk controls.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

CLAUSES: Final[Mapping[str, str]] = {
    "RTS 6 art. 8": "limits before a new algorithm goes live: instruments, orders, positions",
    "RTS 6 art. 12(1)": "cancel any and all unexecuted orders at once",
    "RTS 6 art. 12(3)": "know which algorithm, trader and desk each order belongs to",
    "RTS 6 art. 13(6)": "records that can be read, replayed and analysed afterwards",
    "RTS 6 art. 15(1)(a)": "price collars, order by order",
    "RTS 6 art. 15(1)(a), over time": "price collars over a period of time",
    "RTS 6 art. 15(1)(b)": "largest value of one order",
    "RTS 6 art. 15(1)(c)": "largest volume of one order",
    "RTS 6 art. 15(1)(d)": "largest number of messages: submitted, changed, cancelled",
    "RTS 6 art. 15(2)": "every order sent counts against the limits at once",
    "RTS 6 art. 15(3)": "repeated automated execution is throttled, and a person must let it go on",
    "RTS 6 art. 15(4)": "market and credit limits by capital, strategy, experience and liquidity",
    "RTS 6 art. 15(5)": "no order in an instrument without permission, or above an exposure threshold",
    "RTS 6 art. 15(6)": "an override is temporary, exceptional, checked and authorised by a named person",
    "RTS 6 art. 16(5)": "alerts within five seconds",
    "RTS 6 art. 17(2)": "exposure is watched all the time, after the trade too",
    "RTS 6 art. 17(3)": "own records are reconciled with the venue's in real time",
    "RTS 6 art. 17(4)": "for derivatives: largest long, short and overall position",
    "RTS 6 art. 21(1)(d)": "block an order by exposure, per client and instrument",
    "RTS 6 art. 21(3)": "every client, desk and trader is identified uniquely",
    "RTS 7 art. 20": "orders outside set price and size parameters never reach the book",
    "15c3-5(c)(1)(i)": "orders above pre-set credit and capital thresholds are refused",
    "15c3-5(c)(1)(ii)": "erroneous orders are refused: price, size, duplicates, over a short period",
    "15c3-5(c)(2)": "only authorised persons and systems reach the market",
    "15c3-5(d)": "the controls are under direct and exclusive control of the one who answers for them",
    "FIA 2024 kill switch": "disable trading, cancel what works, let risk-reducing orders through",
    "FIA 2024 duplicate orders": "the same order twice is noticed",
    "FIA 2024 drop copy": "an independent feed of what happened is compared with one's own",
    "FIA 2024 self-match prevention": "orders of one owner do not meet each other",
    "FIA 2024 repeated automated execution": "a strategy that repeats itself is stopped",
    "ESMA 2026 para. 73-74": "a trader cannot get past a hard block, nor slice an order around it",
    "Eurex Advanced Risk Protection": "staged response: alert, then a minimum delay, then halt; deletes never delayed",
}
"""Clause to what it asks for."""

BY_THE_GUARD: Final[Mapping[str, str]] = {
    "RTS 6 art. 12(1)": "the kill switch (perpguard kill)",
    "RTS 6 art. 12(3)": "guard keys and client order ids name the bot of every order",
    "RTS 6 art. 13(6)": "the audit (perpguard audit, audit replay)",
    "RTS 6 art. 15(2)": "an order's exposure is reserved in the step that reads the state it is judged on",
    "RTS 6 art. 15(6)": "overrides (perpguard override)",
    "RTS 6 art. 17(2)": "the warden's account feed",
    "RTS 6 art. 17(3)": "surveys and the private stream are held against what was sent",
    "RTS 6 art. 21(3)": "one guard key a bot",
    "15c3-5(c)(2)": "guard keys; the exchange key never leaves the vault",
    "15c3-5(d)": "bots hold guard keys only; policies change by named people",
    "FIA 2024 kill switch": "the kill switch, which lets cancels through",
    "FIA 2024 drop copy": "the private stream, heard without the bots",
}
"""Clauses that are served whatever the policy says, and by what."""
