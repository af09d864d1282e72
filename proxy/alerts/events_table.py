"""What of the guard's own events people must hear of, and in which words. Listed in ``docs/alerts.md``.

Every event that the guard writes to its audit has a row, or is named among those that only the audit keeps; a test
sees to it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from proxy.alerts.row import STOPPED, Row
from proxy.severity import Severity

_LEFT: Final = (
    "Close at the exchange what is left, look at Kill for why, and press again if needed; exits of the bots are open."
)
_RAISED_BY: Final = "By {by}: {reason}"

BROKE_OFF: Final = Row(
    severity=Severity.KILL,
    about="kill.degraded:{scope}",
    title="KILL NOT DONE: the kill of {scope} broke off",
    text=_RAISED_BY + ". A fault in the guard itself ended it in the phase {phase}. It stays stopped.",
    advice="Press again, or `perpguard kill`; close at the exchange what is left, and look at Kill for why.",
    page="/kill",
    retried=True,
)
"""A kill that ended in a phase that is no end. One that is taken up and breaks off each time is told like the same
again."""

EVENTS: Final[Mapping[str, Row]] = {
    # The kill.
    "kill.engaged": Row(
        severity=Severity.KILL,
        about="stop:{scope}",
        title="KILL: {scope} is being stopped",
        text=_RAISED_BY + ". Entries are refused; orders are cancelled and positions closed.",
        advice=STOPPED,
        page="/kill",
        news=True,
        renews=("kill.degraded:{scope}",),
    ),
    "kill.flat": Row(
        severity=Severity.KILL,
        about="stop:{scope}",
        title="KILL: {scope} is flat",
        text=_RAISED_BY + ". {nothing_open}. It stays stopped.",
        advice="The certificate has every step. Trading comes back by Re-arm alone.",
        page="/certificates",
        news=True,
        ends=("kill.degraded:{scope}",),
    ),
    "kill.flat_except_dust": Row(
        severity=Severity.KILL,
        about="stop:{scope}",
        title="KILL: {scope} is flat but for dust",
        text=_RAISED_BY + ". {dust_open}. It stays stopped.",
        advice="The certificate has every step. Trading comes back by Re-arm alone.",
        page="/certificates",
        news=True,
        ends=("kill.degraded:{scope}",),
    ),
    "kill.account_flat": Row(
        severity=Severity.WARNING,
        about="kill.account_flat:{scope}:{account}",
        title="{part} is flat, {scope} is not yet",
        text="It ended {phase}. Still to be made flat: {waiting}.",
        advice="Look at Kill for the rest.",
        page="/kill",
        news=True,
    ),
    "kill.degraded": Row(
        severity=Severity.KILL,
        about="kill.degraded:{scope}",
        title="KILL NOT DONE: {scope} is not flat",
        text=_RAISED_BY + ". Not everything could be cancelled or closed ({trouble}). The guard goes on trying.",
        advice=_LEFT,
        page="/kill",
        news=True,
        retried=True,
    ),
    "kill.keys_disabled": BROKE_OFF,
    "kill.cancelling": BROKE_OFF,
    "kill.flattening": BROKE_OFF,
    "kill.verifying": BROKE_OFF,
    "kill.shown_again": Row(
        severity=Severity.KILL,
        about="kill.shown_again:{account}",
        title="{account} shows {shown} after it was flat",
        text="The guard makes it flat again.",
        advice="Find out who trades the account past the guard.",
        page="/kill",
        news=True,
    ),
    "kill.exits_cancelled": Row(
        severity=Severity.WARNING,
        about="kill.exits_cancelled:{account}:{bot}",
        title="{bot} keeps sending exits to {account} after its kill",
        text="The guard cancels them, {shown} first. They can open nothing; it stays stopped.",
        advice="Stop the bot: an order of its that rests keeps Re-arm from opening.",
        page="/kill",
    ),
    "kill.exits_refused": Row(
        severity=Severity.WARNING,
        about="kill.exits_refused:{account}:{bot}",
        title="Exits of {bot} at {account} cannot be cancelled after its kill",
        text="The exchange refuses to cancel {not_cancelled}. They can open nothing; the guard tries again with every "
        "reading.",
        advice="Stop the bot, and cancel them at the exchange: an order that rests keeps Re-arm from opening.",
        page="/kill",
    ),
    "kill.external_trader": Row(
        severity=Severity.KILL,
        about="external:{account}",
        title="EXTERNAL TRADER: {account} is traded past the guard",
        text="It was made flat again and again; it stays stopped, and the guard does not fight on. Exits that its own "
        "bots keep sending are not meant.",
        advice="Take the exchange key away from whoever trades it, then close what is open at the exchange.",
        page="/kill",
        news=True,
    ),
    "kill.disagreement": Row(
        severity=Severity.CRITICAL,
        about="kill.disagreement:{account}",
        title="{account} reads as flat, its stream does not",
        advice="Look at the exchange itself: one of the two is old.",
        page="/kill",
    ),
    "kill.exchange_key": Row(
        severity=Severity.CRITICAL,
        about="kill.exchange_key:{account}",
        title="The exchange key of {account} after the kill: {key}",
        advice="Where it is not switched off and should be, do it at the exchange.",
        page="/kill",
    ),
    "trigger.kill": Row(
        severity=Severity.KILL,
        about="trigger:{account}",
        title="A trigger kills {account}: {ruling_trigger}",
        text="{ruling_reason}.",
        advice=STOPPED,
        page="/kill",
        news=True,
    ),
    "trigger.reduce": Row(
        severity=Severity.CRITICAL,
        about="trigger.reduce:{account}",
        title="A trigger makes {account} reduce-only: {ruling_trigger}",
        text="{ruling_reason}. Nothing gets in that adds risk; exits pass.",
        advice="Re-arm when you have looked.",
    ),
    "watchdog.acted": Row(
        severity=Severity.KILL,
        about="watchdog.acted",
        title="A watchdog flattens the desk: {reason}",
        text="It had not heard the guard.",
        advice=STOPPED,
        page="/kill",
        news=True,
    ),
    "certificate.failed": Row(
        severity=Severity.WARNING,
        about="certificate.failed:{scope}",
        title="No certificate for the kill of {scope}",
        text="{why}.",
        advice="The kill itself is as its page says; see the runbook.",
        page="/certificates",
    ),
    # What stops or bounds trading short of a kill.
    "reducing": Row(
        severity=Severity.CRITICAL,
        about="reducing:{scope}",
        title="{scope} is reduce-only",
        text=_RAISED_BY + ". Nothing gets in that adds risk; exits pass.",
        advice="Re-arm when you have looked.",
        page="/rearm",
        news=True,
    ),
    "bot.stopped": Row(
        severity=Severity.CRITICAL,
        about="bot.stopped:{scope}",
        title="{scope} is {state}",
        text=_RAISED_BY + ".",
        advice="Look at what it does; it goes on when a person lets it, by Re-arm.",
        page="/rearm",
        news=True,
    ),
    "lease.lapsed": Row(
        severity=Severity.CRITICAL,
        about="lease:{account}:{bot}:{step}",
        title="{bot} on {account} is not heard of: {step}",
        text="{reason}.",
        advice="Look whether the bot runs.",
    ),
    "dead_man.ran_out": Row(
        severity=Severity.WARNING,
        about="dead_man:{account}:{bot}:{symbol}",
        title="The dead-man timer of {bot} on {symbol} ran out",
        text="Its resting orders are cancelled.",
        advice="Look whether the bot runs.",
    ),
    "protection.lost": Row(
        severity=Severity.CRITICAL,
        about="protection:{account}:{symbol}:{position_side}",
        title="{account}: {symbol} {position_side} has no protective stop any more",
        text="The account becomes reduce-only.",
        advice="Place a stop again, or close the position.",
        page="/positions",
        news=True,
    ),
    "outside.activity": Row(
        severity=Severity.CRITICAL,
        about="outside:{account}:{found}",
        group="outside:{account}",
        title="{account} is traded past the guard: {findings}",
        text="The policy says: {action}.",
        advice="Find out who it was. If it was you, acknowledge it; if nobody knows, change the exchange key.",
    ),
    "venue.forced": Row(
        severity=Severity.CRITICAL,
        about="forced:{account}:{found}",
        group="forced:{account}",
        title="The exchange acted on {account}: {findings}",
        text="A liquidation, auto-deleveraging or another act of its own.",
        advice="Look at the margin of the account.",
        page="/positions",
    ),
    "key.permissions": Row(
        severity=Severity.CRITICAL,
        about="key:{account}",
        title="The exchange key of {account} is not as it should be: {wrong}",
        text="What follows: {action}.",
        advice="Take the right away at the exchange, or accept it with `perpguard keys check`.",
        page="/keys",
    ),
    "clock": Row(
        severity=Severity.WARNING,
        about="clock:{venue}",
        title="The clock of {venue} is {offset_ms} ms from this host's",
        advice="Look at the time service of this host.",
        when=lambda detail: not detail.get("ok", True),
    ),
    "desk.taken": Row(
        severity=Severity.CRITICAL,
        about="desk.taken:{desk}",
        title="The desk {desk} of the store belongs to another guard",
        text="It is of the guard at {guard}. Entries are refused here.",
        advice="Give this guard a desk, or a store, of its own in its settings; see the runbook on two guards.",
    ),
    "audit.anchor_contradicts": Row(
        severity=Severity.CRITICAL,
        about="anchor:{anchor}",
        title="The anchor in {anchor} is not of this audit",
        text="{why}. It is left as it is.",
        advice="Keep it, and a copy of the archive: one of the two was replaced. Then see the guide to the audit.",
        page="/audit",
    ),
    "audit.sealed": Row(
        severity=Severity.WARNING,
        about="audit.sealed",
        title="The audit had no seal and has one now",
        text="It holds {records} records; no signature covers {unsigned} of them.",
        advice="Right once, at the first start of a version that seals. Else an older copy was put in its place: keep"
        " it, and compare with an anchor outside.",
        page="/audit",
        news=True,
    ),
    "watchdog.lost": Row(
        severity=Severity.CRITICAL,
        about="watchdog:{watchdog}",
        title="The watchdog {watchdog} does not ask any more",
        text="If the guard dies now, nobody flattens in its place.",
        advice="Start it again.",
    ),
    "fills_worse": Row(
        severity=Severity.WARNING,
        about="fills:{account}",
        title="Fills of {account} are getting worse",
        text="{exceeded} of the last {of} cost more than stated.",
        page="/ledger",
    ),
    # What people loosen.
    "rearm": Row(
        severity=Severity.CRITICAL,
        about="rearm:{scope}",
        title="{scope} was let go on",
        text=_RAISED_BY + ".",
        page="/rearm",
        news=True,
        ends=("bot.stopped:{scope}", "reducing:{scope}", "kill.degraded:{scope}"),
    ),
    "rearm.requested": Row(
        severity=Severity.WARNING,
        about="rearm.requested:{scope}",
        title="{by} asks to re-arm {scope}",
        advice="Approve or withdraw it under Re-arm.",
        page="/rearm",
        news=True,
    ),
    "rearm.opened": Row(
        severity=Severity.CRITICAL,
        about="rearm:{scope}",
        title="{scope} is re-armed, reduce-only for now",
        text="By {by}.",
        page="/rearm",
        news=True,
    ),
    "rearm.damaged": Row(
        severity=Severity.CRITICAL,
        about="rearm.damaged:{scope}",
        title="The request to re-arm {scope} is damaged",
        text="{why}.",
        advice="It stays stopped; ask anew.",
        page="/rearm",
    ),
    "policy.in_force": Row(
        severity=Severity.WARNING,
        about="policy:{policy}",
        title="Another policy is in force",
        text="{policy_short}, by {by}: {how}. {loosened_words}",
        page="/policy",
        news=True,
    ),
    "policy.proposed": Row(
        severity=Severity.WARNING,
        about="policy.proposed:{policy}",
        title="{by} proposes a looser policy",
        advice="Approve or withdraw it under Policy.",
        page="/policy",
    ),
    "policy.edited": Row(
        severity=Severity.CRITICAL,
        about="policy.edited",
        title="Somebody changed the file of the policy in force",
        text="The guard keeps to what was in force ({how}).",
        advice="Find out who writes in the data directory.",
        page="/policy",
    ),
    "key.disabled": Row(
        severity=Severity.WARNING,
        about="guard_key:{bot}:{key}",
        title="The guard key of {bot} is refused",
        text="{key}, by {by}.",
        advice="What the bot has open stays open; stop the bot to close it.",
        page="/keys",
        news=True,
    ),
    "key.enabled": Row(
        severity=Severity.WARNING,
        about="guard_key:{bot}:{key}",
        title="The guard key of {bot} is obeyed again",
        text="{key}, by {by}.",
        page="/keys",
        news=True,
    ),
    "override.requested": Row(
        severity=Severity.INFO,
        about="override:{override}",
        title="{by} asks for an override of {rule_id} for {bot}",
        text="{side} {quantity_max} {symbol}: {reason}.",
    ),
    "override.approved": Row(
        severity=Severity.WARNING,
        about="override:{override}",
        title="An override of {rule_id} for {bot} is in force",
        text="{side} at most {quantity_max} {symbol}, by {requested_by} and {approved_by}: {reason}.",
    ),
    "start": Row(
        severity=Severity.INFO,
        about="start",
        title="The warden started",
        text="Unless somebody started it, it had died.",
    ),
}

AUDIT_ONLY: Final = frozenset(
    {
        "adopted",
        "certificate.issued",
        "dead_man.done",
        "fills_as_stated",
        "override.expired",
        "override.used",
        "override.withdrawn",
        "policy.superseded",
        "policy.withdrawn",
        "rearm.cancelled",
        "rearm.step",
        "watchdog.found",
    }
)
"""What needs nobody: good ends, steps on the way, and what the condition of the same name tells when it is over."""
