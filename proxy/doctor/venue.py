"""What the doctor asks an exchange: whether it answers, whose clock is off, what the key may do, what would pass."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Iterator, Sequence
from datetime import datetime
from typing import Final

from proxy.clock import utc_now
from proxy.doctor.allowance import refuses_everything
from proxy.doctor.finding import Finding, fail, ok, warn
from proxy.exchange.troubles import VenueRefused, VenueThrottled, VenueTrouble
from proxy.exchange.venue_account import VenueAccount
from proxy.settings import Settings
from proxy.vault.keys import ExchangeKey
from proxy.vault.permissions import KeyPermissions, Risk
from proxy.vault.vault import Vault
from rules.account import Account
from rules.policy import Policy
from rules.snapshot import Market

OFF_MS: Final = 1_000
"""Binance refuses what is stamped a second or more ahead of it."""

ROUND_TRIP_MAX_MS: Final = 1_000
SYMBOLS_TRIED: Final = 20
"""The contracts on which the policy is tried: the busiest, beside those the account or the policy has something of."""

_WRONG_KEY: Final = (-2008, -2014, -2015, -1022)


async def look_at_venue(settings: Settings, vault: Vault, key: ExchangeKey, policy: Policy) -> AsyncIterator[Finding]:
    """Every finding about one account and its exchange. Reads only; about 150 of the minute's 2,400 weight."""
    venue = VenueAccount.of(key, settings)
    try:
        async for finding in _asked(venue, vault, key, policy):
            yield finding
    except VenueThrottled as trouble:
        yield fail(f"exchange of {key.account}", str(trouble), "wait; is another program using this address?")
    except VenueTrouble as trouble:
        mend = "is there a way out to the exchange (DNS, firewall, its status page)? is its URL in the settings right?"
        yield fail(f"exchange of {key.account}", f"{key.venue} cannot be used: {trouble}", mend)
    finally:
        await venue.aclose()


async def _asked(venue: VenueAccount, vault: Vault, key: ExchangeKey, policy: Policy) -> AsyncIterator[Finding]:
    for finding in _clock(key, *await _timed(venue)):
        yield finding
    now = utc_now()
    try:
        account = (await venue.survey(now)).account
    except VenueRefused as refusal:
        if refusal.code not in _WRONG_KEY:
            raise
        yield fail(
            f"key of {key.account}",
            f"the exchange refuses it: {refusal}",
            "is it for futures, not deleted, and does its address list hold this host's? perpguard keys add-exchange",
        )
        return
    yield ok(f"key of {key.account}", "is taken by the exchange")
    for finding in await _permissions(venue, key):
        yield finding
    if account.margin_balance <= 0:
        mend = "move money there, or look at the right account"
        yield warn(f"money of {key.account}", "the account has no margin balance: no entry can pass", mend)
        return
    bots = [guard_key.bot for guard_key in vault.guard_keys() if guard_key.account == key.account]
    instruments = await venue.instruments()
    markets = await _tried(venue, account, policy, now)
    for bot in sorted(set(bots)):
        refusal_of_all = refuses_everything(policy, account, bot, instruments, markets, now)
        check = f"policy for {bot} on {key.account}"
        if refusal_of_all is None:
            yield ok(check, "lets at least one of the smallest orders through")
            continue
        if refusal_of_all.tried == 0:
            yield warn(
                check, "no contract trades now, so it could not be tried", "look again when the exchange is open"
            )
            continue
        first = refusal_of_all.breaches[0]
        said = f"refuses all {refusal_of_all.tried} smallest orders tried; {first.rule_id}: {first.message}"
        yield fail(
            check, said, f"look at {first.rule_id} ({first.level}) in the policy; perpguard rules {first.rule_id}"
        )


async def _timed(venue: VenueAccount) -> tuple[float, float]:
    """How long the exchange took, and how far its clock is from this host's, in milliseconds."""
    await venue.server_time()  # The first answer has the connection's cost in it.
    began = time.time()
    theirs = await venue.server_time()
    ended = time.time()
    return (ended - began) * 1000, (theirs.timestamp() - (began + ended) / 2) * 1000


def _clock(key: ExchangeKey, round_trip_ms: float, offset_ms: float) -> Iterator[Finding]:
    check = f"exchange of {key.account}"
    if round_trip_ms > ROUND_TRIP_MAX_MS:
        yield warn(check, f"{key.venue} takes {round_trip_ms:.0f} ms to answer", "a host nearer to the exchange")
    else:
        yield ok(check, f"{key.venue} answers in {round_trip_ms:.0f} ms")
    if abs(offset_ms) > OFF_MS:
        yield fail(f"clock against {key.venue}", f"{offset_ms:+.0f} ms from this host's", "set this host's clock (NTP)")
    else:
        yield ok(f"clock against {key.venue}", f"{offset_ms:+.0f} ms from this host's")


async def _permissions(venue: VenueAccount, key: ExchangeKey) -> Sequence[Finding]:
    check = f"rights of the key of {key.account}"
    try:
        found = await venue.key_permissions()
    except VenueRefused:
        # Test networks, and some accounts, have no such question.
        return [warn(check, "the exchange does not say what it may do", "look at the key's page at the exchange")]
    accepted = key.enrolment.accepted if key.enrolment is not None else ()
    return list(_judged(check, found, accepted))


def _judged(check: str, found: KeyPermissions, accepted: tuple[Risk, ...]) -> Iterator[Finding]:
    for missing in found.missing:
        yield fail(check, f"it is not allowed {missing}", "allow it on the key's page at the exchange")
    for risk in found.risks:
        if risk in accepted:
            yield warn(check, f"{risk.words} (accepted)", "take that right away at the exchange all the same")
        else:
            yield fail(check, risk.words, "take that right away at the exchange")
    if not found.missing and not found.risks:
        yield ok(check, "it may read and trade, from listed addresses, and nothing else")


async def _tried(venue: VenueAccount, account: Account, policy: Policy, now: datetime) -> dict[str, Market]:
    markets = await venue.markets(now)
    busiest = await venue.public.busiest(SYMBOLS_TRIED)
    own = {leg.symbol for leg in account.positions} | {order.symbol for order in account.open_orders}
    own |= {rule.level.removeprefix("symbol:") for rule in policy.rules if rule.level.startswith("symbol:")}
    touches = await venue.public.touches()
    return {
        symbol: Market(
            symbol=symbol,
            mark_price=market.mark_price,
            as_of=now,
            bid_price=touches[symbol].bid_price if symbol in touches else None,
            ask_price=touches[symbol].ask_price if symbol in touches else None,
            bid_quantity=touches[symbol].bid_quantity if symbol in touches else None,
            ask_quantity=touches[symbol].ask_quantity if symbol in touches else None,
            last_price=market.mark_price,
            index_price=market.index_price,
            funding_rate=market.funding_rate,
            next_funding_at=market.next_funding_at,
        )
        for symbol, market in markets.items()
        if symbol in own or symbol in busiest
    }
