"""Settings of the processes: where things are, never what is allowed (that is the policy).

Read from a TOML file (``--config`` or ``PERPGUARD_CONFIG``), then from ``PERPGUARD_*`` environment variables, which
win. Unknown keys of the file are errors at start; unknown variables do nothing, and ``check`` names them. Secrets
(vault passphrase, control token) never stand in the file.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Mapping
from datetime import time
from enum import StrEnum
from pathlib import Path
from typing import Any, Final, Literal
from urllib.parse import urlsplit

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    IPvAnyAddress,
    SecretStr,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict
from pydantic_settings import SettingsError as MalformedEnvironment

from proxy.addresses import asked_at, in_brackets
from proxy.person_keys import public_key
from proxy.quiet_hours import QuietHours, zone
from proxy.severity import Severity
from proxy.store.embedded import embedded_url
from proxy.venues.binance.venue import VENUE

BINANCE_HOSTS: Final = {
    "fapi": "https://fapi.binance.com",
    "sapi": "https://api.binance.com",
    "api": "https://api.binance.com",
    "dapi": "https://dapi.binance.com",
}
BINANCE_STREAMS: Final = "https://fstream.binance.com"
"""Where the named upstream hosts of the Binance table live (developers.binance.com, general info pages)."""

BINANCE_STREAM_HOSTS: Final = {"fstream": "wss://fstream.binance.com"}
"""Where its streams live."""

TOKEN_LENGTH_MIN: Final = 16
"""Of a token that opens a door: one that is shorter can be guessed."""

_PREFIX: Final = "PERPGUARD_"
_NO_SETTINGS: Final = frozenset({"CONFIG", "SUPERVISED", "API_KEY", "API_SECRET", "ALERT_URL", "WATCHDOG_SECRET"})
"""What else commands read from the environment, or are started with."""


class CodesFor(StrEnum):
    """Who needs an authenticator app: nobody (to practise), those who can loosen something, or everybody."""

    NONE = "none"
    RISK = "risk"
    ALL = "all"


class SettingsError(Exception):
    """The settings are wrong; the message names each key."""


class VenueSettings(BaseModel):
    """One venue. ``url`` replaces every host of the venue, for the practice exchange or a test network.

    ``other_urls`` are more addresses of it, which the kill turns to where the first does not answer.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    url: str | None = Field(default=None, min_length=1)
    other_urls: tuple[str, ...] = ()

    @field_validator("url")
    @classmethod
    def _one(cls, url: str | None) -> str | None:
        return url if url is None else _asked(url)

    @field_validator("other_urls")
    @classmethod
    def _each(cls, urls: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(map(_asked, urls))


class AccountSettings(BaseModel):
    """Source addresses of one account's traffic: ``egress`` for all of it, ``kill_egress`` for its kill alone.

    Binance counts request weight by address and bans addresses, so an account with addresses of its own can be closed
    whatever others have spent. Keys that are bound to addresses must name them all.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    egress: IPvAnyAddress | None = None
    kill_egress: IPvAnyAddress | None = None


class AlertChannelSettings(BaseModel):
    """One alert channel of the vault: what it is told at least, and whether quiet hours hold for it."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    minimum: Severity = Severity.WARNING
    quiet_hours: bool = True


class AlertSettings(BaseModel):
    """How alerts are told. Where they go is in the vault (``perpguard alerts channels``), for it is secret.

    ``link`` is where people's browsers find the console. Quiet hours have a begin and an end, by the clock of
    ``time_zone``; nothing of kill level is bound by them.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    link: str | None = Field(default=None, pattern=r"^https?://[!-~]+$", max_length=200)
    quiet_from: time | None = None
    quiet_until: time | None = None
    time_zone: str = "UTC"
    channels: dict[str, AlertChannelSettings] = {}

    @field_validator("quiet_from", "quiet_until")
    @classmethod
    def _of_the_clock(cls, hour: time | None) -> time | None:
        """What a clock on the wall shows: an offset would be a second time zone."""
        if hour is not None and hour.tzinfo is not None:
            raise ValueError("a time with an offset; write what the clock of time_zone shows, such as '22:00'")
        return hour

    @model_validator(mode="after")
    def _whole(self) -> AlertSettings:
        if (self.quiet_from is None) != (self.quiet_until is None):
            raise ValueError("quiet hours need both quiet_from and quiet_until")
        if self.quiet_from == self.quiet_until and self.quiet_from is not None:
            raise ValueError("quiet hours that end when they begin are none, or all day; say which hours")
        zone(self.time_zone)
        return self

    def unknown(self, known: Iterable[str]) -> list[str]:
        """The channels that are set here and are not among those that there are: what is set for them does nothing."""
        return sorted(self.channels.keys() - set(known))

    @property
    def quiet(self) -> QuietHours | None:
        """The quiet hours, ``None`` where there are none."""
        if self.quiet_from is None or self.quiet_until is None:
            return None
        return QuietHours(self.quiet_from, self.quiet_until, zone(self.time_zone))


class Settings(BaseSettings):
    """Everything a process of the guard needs to know before it reads the policy and opens the vault."""

    model_config = SettingsConfigDict(env_prefix="PERPGUARD_", env_nested_delimiter="__", extra="forbid", frozen=True)

    data_dir: Path = Path(".perpguard")
    desk: str = Field(default="desk", pattern=r"^[A-Za-z0-9._-]{1,32}$")
    store_url_file: Path | None = None
    store_url: str | None = Field(default=None, validate_default=True)
    store_timeout_s: float = Field(default=0.05, ge=0.01, le=1)
    audit_url: SecretStr | None = None
    audit_url_file: Path | None = None
    audit_anchor: Path | None = None
    audit_webhook: SecretStr | None = None
    policy: Path = Path("configs/policies/demo.toml")
    passphrase: SecretStr | None = None
    passphrase_file: Path | None = None
    venues: dict[str, VenueSettings] = {VENUE: VenueSettings()}
    accounts: dict[str, AccountSettings] = {}

    gate_host: str = "127.0.0.1"
    gate_port: int = Field(default=8080, ge=0, le=65535)
    gate_workers: int = Field(default=2, ge=1, le=64)
    gate_names: tuple[str, ...] = ()
    gate_https_port: int | None = Field(default=None, ge=0, le=65535)

    control_host: str = "127.0.0.1"
    control_port: int = Field(default=8081, ge=0, le=65535)
    control_names: tuple[str, ...] = ()
    control_codes: CodesFor = CodesFor.RISK
    control_https: bool = False
    control_token: SecretStr | None = None
    control_commanders: dict[str, str] = {}
    metrics_token_file: Path | None = None

    watchdog: Literal["none", "local", "remote"] = "none"
    alerts: AlertSettings = AlertSettings()

    streams: bool = True
    survey_every_s: float = Field(default=15.0, gt=0, le=300)
    markets_every_s: float = Field(default=2.0, gt=0, le=60)
    signals_warm: tuple[Path, ...] = ()

    @field_validator("store_url_file")
    @classmethod
    def _names_a_store(cls, path: Path | None) -> Path | None:
        """Judged here, so that whoever can do without the store can leave out this setting alone."""
        if path is not None:
            _store_url(_written_in(path))
        return path

    @field_validator("store_url", mode="before")
    @classmethod
    def _of_the_file(cls, url: object, info: ValidationInfo) -> object:
        """The one given, else the one in the file. An empty variable counts as absent, as compose files write it."""
        path = info.data.get("store_url_file")
        return url or (_written_in(path) if path is not None else None)

    @field_validator("store_url")
    @classmethod
    def _of_a_store(cls, url: str | None) -> str | None:
        return _store_url(url) if url is not None else None

    @field_validator("audit_url")
    @classmethod
    def _of_an_archive(cls, url: SecretStr | None) -> SecretStr | None:
        if url is not None and url.get_secret_value() and not is_of_postgresql(url.get_secret_value()):
            raise ValueError("not a postgresql:// address")
        return url

    @field_validator("control_token", mode="before")
    @classmethod
    def _given(cls, token: object) -> object:
        """An empty variable counts as absent, as compose files write it."""
        return token or None

    @field_validator("control_token")
    @classmethod
    def _hard_to_guess(cls, token: SecretStr | None) -> SecretStr | None:
        if token is not None and len(token.get_secret_value()) < TOKEN_LENGTH_MIN:
            raise ValueError(f"the token has at least {TOKEN_LENGTH_MIN} characters")
        return token

    @field_validator("audit_webhook")
    @classmethod
    def _address(cls, url: SecretStr | None) -> SecretStr | None:
        """An address that can be posted to."""
        if url is not None and not re.fullmatch(r"https?://[^\s/]+(/\S*)?", url.get_secret_value()):
            raise ValueError("not an http:// or https:// address")
        return url

    @field_validator("control_commanders")
    @classmethod
    def _public_keys(cls, keys: dict[str, str]) -> dict[str, str]:
        """Whose signed commands are obeyed: each name with a public key."""
        for text in keys.values():
            public_key(text)
        return keys

    @property
    def store(self) -> str:
        """The store's URL: the one given, or the embedded server's in the data directory."""
        return self.store_url or embedded_url(self.data_dir)

    @property
    def console_link(self) -> str:
        """Where people's browsers find the console, for the links in alerts: over TLS by the first of
        ``control_names``, where the proxy is that speaks it."""
        if self.alerts.link is not None:
            return self.alerts.link
        if self.control_https and self.control_names:
            return f"https://{self.control_names[0]}"
        return f"{'https' if self.control_https else 'http'}://{asked_at(self.control_host, self.control_port)}"

    @property
    def console_hosts(self) -> tuple[str, ...]:
        """Names a browser may reach the console under, besides loopback: the bound address and the configured ones.

        As browsers name them in ``Host``.
        """
        return (in_brackets(self.control_host), *self.control_names)

    @property
    def venue_urls(self) -> dict[str, str]:
        """Base URL by venue, for the warden's and the kill's own client."""
        return {name: venue.url or BINANCE_HOSTS["fapi"] for name, venue in self.venues.items()}

    @property
    def stream_urls(self) -> dict[str, str]:
        """Where each venue's private streams are, for the warden's own feeds."""
        return {name: venue.url or BINANCE_STREAMS for name, venue in self.venues.items()}

    @property
    def egress(self) -> dict[str, str]:
        """Source address by account, of those that have one."""
        return {name: str(account.egress) for name, account in self.accounts.items() if account.egress is not None}

    def kill_addresses(self, account: str) -> tuple[str, ...]:
        """The source addresses an account's kill may go out by, in order; empty is the host's usual one."""
        known = self.accounts.get(account, AccountSettings())
        usual = str(known.egress or "")
        return (str(known.kill_egress), usual) if known.kill_egress is not None else (usual,)

    def hosts(self, venue: str) -> Mapping[str, str]:
        """Base URL of each named upstream host of a venue."""
        url = self.venues[venue].url
        return BINANCE_HOSTS if url is None else dict.fromkeys(BINANCE_HOSTS, url.rstrip("/"))

    def stream_hosts(self, venue: str) -> Mapping[str, str]:
        """Base URL of each named stream host of a venue; a practice exchange streams from the host it trades on."""
        url = self.venues[venue].url
        if url is None:
            return BINANCE_STREAM_HOSTS
        # "http" becomes "ws", "https" becomes "wss".
        return dict.fromkeys(BINANCE_STREAM_HOSTS, "ws" + url.rstrip("/").removeprefix("http"))

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """The environment wins over the file, which arrives as initial values. No ``.env``: secrets lie about in it."""
        return (env_settings, init_settings)


def unknown_variables(environment: Iterable[str]) -> list[str]:
    """The names of the guard's own kind among ``environment`` that nothing reads: nobody obeys them.

    They are no errors: what starts containers puts names of its own there, made of the service's.
    """
    known = {*_NO_SETTINGS, *map(str.upper, Settings.model_fields)}
    ours = (name for name in environment if name.upper().startswith(_PREFIX))
    return sorted(name for name in ours if name.upper().removeprefix(_PREFIX).partition("__")[0] not in known)


def is_of_postgresql(url: str) -> bool:
    """Whether the archive can be where this address says."""
    return re.fullmatch(r"(postgres|postgresql|postgresql\+psycopg)://\S*", url) is not None


def _asked(url: str) -> str:
    """An address that a client can ask. ValueError, which does not repeat it."""
    try:
        parts = urlsplit(url)
        asked = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        asked = False
    if not asked or re.search(r"\s", url):
        raise ValueError("not an http://HOST or https://HOST address")
    return url


def _store_url(url: str) -> str:
    """One that a client of the store understands. ValueError, which does not repeat it: it may bear a password."""
    try:
        port = urlsplit(url).port
    except ValueError:
        port = -1
    if not re.fullmatch(r"(rediss?://[^\s/]+(/\S*)?|unix://\S+)", url) or port == -1:
        raise ValueError("not a redis://HOST:PORT, rediss:// or unix:// address")
    return url


def _written_in(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as trouble:
        raise ValueError(f"cannot be read ({type(trouble).__name__})") from None


def load_settings(config: Path | None, overrides: Mapping[str, Any]) -> Settings:
    """Settings from a TOML file, the environment and ``overrides`` of the command line, the last winning.

    Raises ``SettingsError``.
    """
    values: dict[str, Any] = {}
    if config is not None:
        try:
            values = tomllib.loads(config.read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
            why = error.strerror if isinstance(error, OSError) else error
            raise SettingsError(f"{config}: {why}") from error
        if {"passphrase", "control_token", "audit_url", "audit_webhook"} & values.keys():
            raise SettingsError(f"{config}: secrets do not belong in a file; use the environment")
        if "audit_url_file" in values:
            # Every command that reads the archive has to find it, and many read no settings.
            raise SettingsError(f"{config}: audit_url_file is set in the environment: PERPGUARD_AUDIT_URL_FILE")
        for key in ("data_dir", "policy", "passphrase_file", "store_url_file", "metrics_token_file", "audit_anchor"):
            if key in values:  # Paths in a file are relative to the file, wherever the process was started.
                values[key] = str(config.parent / values[key])
        if isinstance(values.get("signals_warm"), list):
            values["signals_warm"] = [str(config.parent / str(each)) for each in values["signals_warm"]]
    try:
        settings = Settings(**values)
        return settings.model_copy(update={key: value for key, value in overrides.items() if value is not None})
    except MalformedEnvironment as error:
        # Its text names the field; the value stands in the chain, which is cut.
        raise SettingsError(str(error)) from None
    except ValidationError as error:
        # Only names and reasons: pydantic's own text would repeat the values, and one of them may be a secret.
        problems = "; ".join(f"{'.'.join(map(str, each['loc']))}: {each['msg']}" for each in error.errors())
        raise SettingsError(problems) from None
