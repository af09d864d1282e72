"""What the practice exchange is started with, from the command line or a TOML file; it fails at start or not at all."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass, field, replace
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Final

import msgspec
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from sandbox.binance.limits import ORDERS_PER_10S, WEIGHT_PER_MINUTE
from sandbox.engine.exchange import INSURANCE_FUND
from sandbox.engine.house import NAME_PREFIX
from sandbox.engine.instrument import Instrument
from sandbox.engine.listing import DEFAULT_INSTRUMENTS, EXTRA_MAX, listed_as
from sandbox.engine.playback import Playback
from sandbox.engine.scenario import Scenario
from sandbox.replay import ReplayError, read_recordings

INSTRUMENTS_MAX: Final = 200

# Known to everyone on purpose: they open nothing but play money on loopback.
DEMO_KEY = "practice-key-demo"
DEMO_SECRET = "practice-secret-demo"  # noqa: S105


class SettingsError(Exception):
    """Settings that cannot be used; the message names the setting."""


@dataclass(frozen=True, slots=True)
class Ed25519Settings:
    """An API key proven by a key pair instead of a shared secret, as `session.logon` wants it."""

    api_key: str
    public_key: Ed25519PublicKey


@dataclass(frozen=True, slots=True)
class AccountSettings:
    """A customer of the practice exchange; `balance` in USDT. `ed25519` is one more key to the same account."""

    name: str
    api_key: str
    api_secret: str = field(repr=False)
    balance: Decimal = Decimal(10_000)
    # What GET /sapi/v1/account/apiRestrictions says of the key.
    withdrawals: bool = False
    ip_restricted: bool = True
    ed25519: Ed25519Settings | None = None
    # A sub-account: what its master calls it, and the name of the account that is its master.
    email: str = ""
    master: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Everything the exchange needs. `speed` is engine time over wall time; 0 stops the clock (tests step by hand)."""

    accounts: tuple[AccountSettings, ...] = (AccountSettings("demo", DEMO_KEY, DEMO_SECRET),)
    seed: int = 7
    scenario: Scenario = Scenario.CALM
    speed: float = 1.0
    # Engine time at the first step, to the second; None starts at the wall clock. Fix it to reproduce a run exactly.
    start_time: datetime | None = None
    # Requests' weight per minute and orders per 10 s; 0 counts without ever refusing.
    weight_limit: int = WEIGHT_PER_MINUTE
    order_limit: int = ORDERS_PER_10S
    # What the insurance fund starts with, in USDT; 0 lets every bankruptcy end in auto-deleveraging.
    insurance_fund: Decimal = INSURANCE_FUND
    # Contracts X01USDT and on, listed besides the usual ones.
    extra_symbols: int = 0
    # Listed beside the default ones, or in the place of those of their symbol.
    instruments: tuple[Instrument, ...] = ()
    playback: Playback | None = None

    def __post_init__(self) -> None:
        names = [account.name for account in self.accounts]
        keys = [account.api_key for account in self.accounts]
        keys += [account.ed25519.api_key for account in self.accounts if account.ed25519]
        if not names:
            raise SettingsError("account: at least one is needed")
        if len(set(names)) < len(names) or len(set(keys)) < len(keys):
            raise SettingsError("account: names and keys must differ")
        if not (all(keys) and all(account.name and account.api_secret for account in self.accounts)):
            raise SettingsError("account: name, key and secret must not be empty")
        if not all(account.balance.is_finite() and account.balance >= 0 for account in self.accounts):
            raise SettingsError("account: balance must be a number not below zero")
        if any(account.master not in ("", *names) or account.master == account.name for account in self.accounts):
            raise SettingsError("account: a master is another account of this exchange")
        if any(bool(account.master) != bool(account.email) for account in self.accounts):
            raise SettingsError("account: a sub-account has a master and an email")
        if any(name.startswith(NAME_PREFIX) for name in names):
            raise SettingsError(f"account: names that begin with {NAME_PREFIX} are the exchange's own")
        if not (self.insurance_fund.is_finite() and self.insurance_fund >= 0):
            raise SettingsError("insurance_fund: must be a number not below zero")
        if self.playback is not None and self.start_time is not None:
            raise SettingsError("start_time: a replay starts at its first bar")
        numbers = (
            number
            for each in self.instruments
            for number in (
                each.start_price,
                each.tick,
                each.lot_step,
                each.quantity_max,
                each.market_quantity_max,
                each.depth_quantity,
            )
        )
        if len(self.instruments) > INSTRUMENTS_MAX or not all(number.is_finite() and number > 0 for number in numbers):
            raise SettingsError(f"instrument: at most {INSTRUMENTS_MAX}, with numbers above zero")
        if not all(each.notional_min.is_finite() and each.notional_min >= 0 for each in self.instruments):
            raise SettingsError("instrument: notional_min must be a number not below zero")
        if not 0 <= self.extra_symbols <= EXTRA_MAX:
            raise SettingsError(f"extra_symbols: between 0 and {EXTRA_MAX}")
        if not 0 <= self.speed <= 1_000:
            raise SettingsError("speed: between 0 and 1000")
        if self.start_time is not None and self.start_time.tzinfo is None:
            raise SettingsError("start_time: needs a time zone, for example 2026-11-24T07:59:50Z")
        if min(self.weight_limit, self.order_limit) < 0:
            raise SettingsError("weight_limit and order_limit: not below zero")


class _AccountTable(msgspec.Struct, forbid_unknown_fields=True):
    name: str
    api_key: str
    api_secret: str
    balance: Decimal = Decimal(10_000)
    withdrawals: bool = False
    ip_restricted: bool = True
    ed25519_api_key: str = ""
    # PEM text, as an exchange asks for it.
    ed25519_public_key: str = ""
    email: str = ""
    master: str = ""


class _InstrumentTable(msgspec.Struct, forbid_unknown_fields=True):
    symbol: Annotated[str, msgspec.Meta(pattern=r"^[^\W_a-z]{2,20}$")]
    base: Annotated[str, msgspec.Meta(pattern=r"^[^\W_a-z]{1,16}$")]
    start_price: Decimal
    tick: Decimal
    lot_step: Decimal
    quantity_max: Decimal
    market_quantity_max: Decimal
    notional_min: Decimal
    depth_quantity: Decimal


class _File(msgspec.Struct, forbid_unknown_fields=True):
    account: list[_AccountTable] = []
    seed: int = 7
    scenario: Scenario = Scenario.CALM
    speed: float = 1.0
    start_time: datetime | None = None
    weight_limit: int = WEIGHT_PER_MINUTE
    order_limit: int = ORDERS_PER_10S
    insurance_fund: Decimal = INSURANCE_FUND
    extra_symbols: int = 0
    instrument: list[_InstrumentTable] = []
    replay: list[str] = []
    replay_mark: list[str] = []
    replay_funding: list[str] = []


def read_settings(path: Path) -> Settings:
    """Read a TOML file; unknown keys and unreadable values raise `SettingsError`."""
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
        content = msgspec.convert(table, _File, strict=False)
    except (OSError, ValueError, msgspec.ValidationError) as trouble:
        raise SettingsError(f"{path}: {trouble}") from trouble
    accounts = tuple(_account(row) for row in content.account)
    return Settings(
        accounts=accounts or Settings().accounts,
        seed=content.seed,
        scenario=content.scenario,
        speed=content.speed,
        start_time=content.start_time,
        weight_limit=content.weight_limit,
        order_limit=content.order_limit,
        insurance_fund=content.insurance_fund,
        extra_symbols=content.extra_symbols,
        instruments=tuple(listed_as(**msgspec.structs.asdict(row)) for row in content.instrument),
        playback=read_playback(*_beside(path, content.replay, content.replay_mark, content.replay_funding)),
    )


def _beside(config: Path, *lists: list[str]) -> list[list[Path]]:
    """Paths in a settings file are relative to it."""
    return [[config.parent / path for path in paths] for paths in lists]


def read_playback(replay: list[Path], replay_mark: list[Path], replay_funding: list[Path]) -> Playback | None:
    """Read recorded files for the default symbols, None when none are named; `SettingsError` says what is wrong."""
    try:
        return read_recordings({x.symbol for x in DEFAULT_INSTRUMENTS}, replay, replay_mark, replay_funding)
    except ReplayError as trouble:
        raise SettingsError(str(trouble)) from trouble


def with_ed25519(settings: Settings, text: str) -> Settings:
    """Give an account one more key, from `name:key:pem_file` on the command line."""
    name, _, rest = text.partition(":")
    api_key, _, path = rest.partition(":")
    if not any(account.name == name for account in settings.accounts):
        raise SettingsError(f"--ed25519: no account is called {name}")
    try:
        key = Ed25519Settings(api_key, _public_key(Path(path).read_text(encoding="ascii")))
    except (OSError, ValueError) as trouble:
        raise SettingsError(f"--ed25519 {name}: {trouble}") from trouble
    accounts = (replace(row, ed25519=key) if row.name == name else row for row in settings.accounts)
    return replace(settings, accounts=tuple(accounts))


def _account(row: _AccountTable) -> AccountSettings:
    ed25519 = None
    if row.ed25519_api_key or row.ed25519_public_key:
        ed25519 = Ed25519Settings(row.ed25519_api_key, _public_key(row.ed25519_public_key))
    return AccountSettings(
        row.name,
        row.api_key,
        row.api_secret,
        row.balance,
        withdrawals=row.withdrawals,
        ip_restricted=row.ip_restricted,
        ed25519=ed25519,
        email=row.email,
        master=row.master,
    )


def _public_key(pem: str) -> Ed25519PublicKey:
    try:
        key = load_pem_public_key(pem.encode())
    except (ValueError, UnsupportedAlgorithm):
        raise SettingsError("ed25519_public_key: not a public key in PEM") from None
    if not isinstance(key, Ed25519PublicKey):
        raise SettingsError("ed25519_public_key: not an Ed25519 key")
    return key


def read_account(text: str) -> AccountSettings:
    """Read `name:key:secret:balance` from the command line; the text itself never appears in an error."""
    parts = text.split(":")
    if len(parts) != 4:
        raise SettingsError("--account: expected name:key:secret:balance")
    name, api_key, api_secret, balance = parts
    try:
        return AccountSettings(name, api_key, api_secret, Decimal(balance))
    except ArithmeticError:
        raise SettingsError("--account: balance is not a number") from None
