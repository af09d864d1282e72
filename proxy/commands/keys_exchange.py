"""`perpguard keys add-exchange` and `keys check`: the exchange is asked what a key may do before it is trusted."""

from __future__ import annotations

import argparse
import asyncio
from datetime import datetime
from typing import TYPE_CHECKING, TextIO

from proxy.commands.arguments import Arguments
from proxy.terminal import remark, say
from proxy.vault.keys import ExchangeKey
from proxy.vault.permissions import Enrolment, KeyPermissions, KeyRefused, Risk, admit
from proxy.vault.vault import Vault

if TYPE_CHECKING:  # The command line is parsed without them.
    from proxy.settings import Settings


def add_acceptances(parser: argparse.ArgumentParser) -> None:
    """The options that name a risk and take it."""
    for risk in Risk:
        parser.add_argument(f"--accept-{risk}", action="store_true", help=f"although {risk.words}")


def accepted(args: Arguments) -> tuple[Risk, ...]:
    """The risks taken on the command line."""
    return tuple(risk for risk in Risk if getattr(args, f"accept_{risk.replace('-', '_')}"))


def enrol(args: Arguments, candidate: ExchangeKey, now: datetime, stderr: TextIO) -> Enrolment:
    """Ask the venue about a key that is about to be kept. Raises ``KeyRefused``; ``--offline`` skips the question."""
    if args.offline:
        remark("the key's rights were not checked; `perpguard keys check` does it later", to=stderr)
        return Enrolment(checked_at=None, accepted=accepted(args))
    admit(asked(args.settings, candidate), accepted(args))
    return Enrolment(checked_at=now, accepted=accepted(args))


def check(args: Arguments, vault: Vault, now: datetime, stdout: TextIO) -> None:
    """Ask the venue about the keys that are kept, say what each may do, and keep what is accepted now.

    Raises ``KeyRefused`` after the last one, when any is not as it should be; ``UnknownAccount``.
    """
    refused = []
    keys = vault.accounts() if args.account is None else (vault.exchange_key(args.account),)
    for key in keys:
        known = key.enrolment.accepted if key.enrolment is not None else ()
        taken = tuple(risk for risk in Risk if risk in (*known, *accepted(args)))
        try:
            permissions = asked(args.settings, key)
            say(f"account={key.account} {spelled(permissions)}", to=stdout)
            admit(permissions, taken)
            vault.enrol(key.account, Enrolment(checked_at=now, accepted=taken))
        except KeyRefused as refusal:
            refused.append(f"{key.account}: {refusal}")
    if refused:
        raise KeyRefused("; ".join(refused))


def asked(settings: Settings, key: ExchangeKey) -> KeyPermissions:
    """What the venue says of a key. Raises ``KeyRefused`` when it does not say."""
    # ccxt takes a second to import; only these two commands need it.
    from proxy.exchange.troubles import VenueTrouble
    from proxy.exchange.venue_account import VenueAccount

    async def ask() -> KeyPermissions:
        hands = VenueAccount.of(key, settings)
        try:
            return await hands.key_permissions()
        finally:
            await hands.aclose()

    if key.venue not in settings.venue_urls:
        raise KeyRefused(f"the settings know no venue {key.venue}; known are {', '.join(settings.venue_urls)}")
    try:
        return asyncio.run(ask())
    except VenueTrouble as trouble:
        raise KeyRefused(
            f"the exchange did not say what this key may do ({trouble}); --offline keeps it unchecked"
        ) from None


def spelled(permissions: KeyPermissions) -> str:
    """What a key may do, on one line."""
    rights = {
        "reading": permissions.reading,
        "futures": permissions.futures,
        "withdrawals": permissions.withdrawals,
        "transfers": permissions.transfers,
        "ip_restricted": permissions.ip_restricted,
    }
    return " ".join(f"{name}={'yes' if allowed else 'no'}" for name, allowed in rights.items())


def enrolment_row(key: ExchangeKey) -> dict[str, str]:
    """How a key came in, for the list of keys."""
    enrolment = key.enrolment
    checked_at = enrolment.checked_at if enrolment is not None else None
    return {
        "checked_at": checked_at.isoformat(timespec="seconds") if checked_at is not None else "never",
        "accepted": ",".join(enrolment.accepted) if enrolment is not None and enrolment.accepted else "nothing",
    }
