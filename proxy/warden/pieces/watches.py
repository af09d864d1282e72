"""Builds what looks after one account beside its keeper: key, outside activity, stops, dead-man timers, triggers."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from decimal import Decimal
from functools import lru_cache
from pathlib import Path

from proxy.accounts.dead_man import DeadMan
from proxy.accounts.key_watch import KeyWatch
from proxy.accounts.markets import MarketKeeper
from proxy.accounts.outside_watch import OutsideWatch
from proxy.accounts.protection_watch import ProtectionWatch, stop_rules
from proxy.accounts.shares import Shares
from proxy.accounts.venue_timers import VenueTimers
from proxy.exchange.venue_account import VenueAccount
from proxy.kill.desk import KillDesk
from proxy.kill.watch import Sources, TriggerWatch
from proxy.kill.witness import evidence_of, found_orders
from proxy.record import Record
from proxy.signals.conditions import ConditionsKeeper
from proxy.store.warden_store import WardenStore
from proxy.vault.permissions import Risk
from proxy.vault.vault import Vault
from proxy.venues.binance import client_ids
from proxy.watchdog.heart import Heart
from rules.account import Account
from rules.facts import AccountRecord
from rules.kill.dead_man import in_maintenance
from rules.kill.evidence import Evidence
from rules.outside import OutsideAction, outside_action
from rules.policy import Policy

PolicyInForce = Callable[[], Policy]
"""The policy as it is now: it may be another one every time."""


def owner_of(vault: Vault, account: str) -> Callable[[str], str]:
    """Names the bot behind a client order id of this account, "" for nobody's. Bots issued later are known at once."""

    @lru_cache(maxsize=1)
    def tags(bots: frozenset[str]) -> dict[str, str]:
        return client_ids.tags(account, bots)

    def owner(client_order_id: str) -> str:
        bots = frozenset(key.bot for key in vault.guard_keys() if key.account == account)
        return client_ids.owner(client_order_id, tags(bots))

    return owner


def build_key_watch(
    hands: VenueAccount, policy: PolicyInForce, vault: Vault, kill: KillDesk, record: Record
) -> KeyWatch:
    """The watch on an account's exchange key."""
    account = hands.name

    def accepted() -> tuple[Risk, ...]:
        enrolment = vault.exchange_key(account).enrolment
        return enrolment.accepted if enrolment is not None else ()

    return KeyWatch(
        account=account,
        ask=hands.key_permissions,
        accepted=accepted,
        reduce=kill.reduce,
        only_alerts=lambda: outside_action(policy().outside, account) is OutsideAction.ALERT,
        record=record,
    )


def build_outside_watch(
    hands: VenueAccount,
    market: MarketKeeper,
    *,
    policy: PolicyInForce,
    vault: Vault,
    kill: KillDesk,
    record: Record,
    data_dir: Path,
    heard: Callable[[], float],
    now: Callable[[], datetime],
) -> OutsideWatch:
    """The watch on what happens on an account without the guard, and its shares."""

    def price_of(asset: str) -> Decimal | None:
        quoted = market.markets.get(f"{asset}USDT")
        return quoted.mark_price if quoted is not None else None

    def step_of(symbol: str) -> Decimal | None:
        instrument = market.instruments.get(symbol)
        return instrument.step_size if instrument is not None else None

    return OutsideWatch(
        account=hands.name,
        action=lambda: outside_action(policy().outside, hands.name),
        shares=Shares(owner_of(vault, hands.name), step_of=step_of, price_of=price_of, began=now()),
        response=kill,
        venue=hands,
        record=record,
        data_dir=data_dir,
        heard=heard,
        now=now,
    )


def build_protection_watch(
    account: str, policy: PolicyInForce, kill: KillDesk, record: Record, now: Callable[[], datetime]
) -> ProtectionWatch:
    """The watch on an account's protective stops, under the policy that is in force when it looks."""
    return ProtectionWatch(
        account=account, rules=lambda: stop_rules(policy(), account), response=kill, record=record, now=now
    )


def build_trigger_watch(
    hands: VenueAccount,
    market: MarketKeeper,
    conditions: ConditionsKeeper,
    outside: OutsideWatch,
    *,
    book: Callable[[], Account | None],
    memory: Callable[[], AccountRecord | None],
    anomaly: Callable[[], float],
    owner: Callable[[str], str],
    policy: PolicyInForce,
    kill: KillDesk,
    store: WardenStore,
    record: Record,
    now: Callable[[], datetime],
) -> TriggerWatch:
    """What presses the button for an account by itself; ``hands`` are the kill's own, the second source."""
    name = hands.name

    def evidence(at: datetime) -> Evidence:
        return evidence_of(
            name,
            account=book(),
            record=memory(),
            markets=market.markets,
            instruments=market.instruments,
            condition_of=conditions.condition,
            anomaly=anomaly(),
            now=at,
        )

    async def read() -> Account:
        asked_at = now()
        return (await hands.survey(asked_at)).account

    return TriggerWatch(
        account=name,
        sources=Sources(
            evidence=evidence,
            unrecorded=lambda: found_orders(outside.found, owner)[0],
            outside=lambda: found_orders(outside.found, owner)[1],
            read=read,
            ask_store=store.has_epoch,
        ),
        settings=lambda: policy().kill.triggers,
        response=kill,
        record=record,
        now=now,
    )


def build_dead_man(hands: VenueAccount, store: WardenStore, record: Record, cancelled: Callable[[], None]) -> DeadMan:
    """What runs the dead-man timers of an account's bots."""
    account = hands.name

    def owns(bot: str, client_order_id: str) -> bool:
        return client_ids.inward(client_order_id, client_ids.tag(account, bot)) is not None

    return DeadMan(account=account, venue=hands, store=store, owns=owns, record=record, cancelled=cancelled)


def build_venue_timers(
    hands: VenueAccount,
    book: Callable[[], Account | None],
    policy: PolicyInForce,
    heart: Heart,
    now: Callable[[], datetime],
) -> VenueTimers:
    """What keeps the venue's own dead-man timers armed on an account."""
    return VenueTimers(
        account=hands.name,
        timer=hands,
        book=book,
        policy=policy,
        watched=heart.watched_from_elsewhere,
        in_maintenance=lambda symbol: in_maintenance(policy().rules, hands.name, symbol, now()),
    )
