"""What the running guard says of itself: the warden's view of the desk, and whether the gates answer."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterator, Mapping
from typing import Any, Final

import httpx

from proxy.addresses import asked_at
from proxy.client.asking import NoAnswer, Refused, ask
from proxy.client.token import token_path
from proxy.doctor.finding import Finding, Level, fail, ok, warn
from proxy.doctor.part import run_as_owner, within
from proxy.settings import Settings
from proxy.tls.shelf import TlsShelf
from rules.market.data_freshness import DataFreshness

SURVEY_AGE_S: Final = 60.0
"""Older than this, or than three surveys are apart, is too old; the alert of it says the same."""

OFFSET_MAX_MS: Final = 1_000
WARDEN_MAX_S: Final = 15.0
GATE_MAX_S: Final = 5.0

_REARM: Final = "if that is over, perpguard rearm; --status says what is stopped and what must hold"
_OTHER_ON_PORT: Final = "is something else on its port? see the log of perpguard up"
_ARCHIVE_FIRST: Final = "mend the archive of the warden: before it opens nothing is read from the exchange"
_DESK_FIRST: Final = "give this guard a desk of its own: while another has it nothing is read from the exchange"
_POLICY_MAY_DIFFER: Final = "entries are refused unless data_freshness of the policy lets them be older"


def look_at_guard(settings: Settings) -> Iterator[Finding]:
    """Every finding about the processes that run, or that none does.

    What a person or a rule has stopped is worth a look, no more: the guard does what it is for. ``perpguard status``
    has the exit code that says whether the desk trades.
    """
    try:
        desk = within(WARDEN_MAX_S, lambda: ask(settings, "GET", "/api/desk"))
    except NoAnswer as silence:
        yield _silent(settings, silence)
        return
    except Refused as refusal:
        yield fail("warden", f"{refusal}", "is another guard on that port? its control token is not this one's")
        return
    except TimeoutError:
        yield fail("warden", f"has not answered to the end within {WARDEN_MAX_S:g} s", _OTHER_ON_PORT)
        return
    except ValueError:
        desk = None  # No JSON.
    if not isinstance(desk, dict) or "desk" not in desk:
        yield fail("warden", "what answers there is no warden", _OTHER_ON_PORT)
        return
    yield _named(settings, desk["desk"])
    yield _gate(settings)
    if settings.gate_https_port is not None:
        yield _gate_by_tls(settings, settings.gate_https_port)
    first = _ARCHIVE_FIRST if not desk["archive"]["opened"] else _DESK_FIRST if desk.get("taken_by") else ""
    yield from _desk(desk, first)
    yield from _watchdogs(desk)
    for account in desk["accounts"]:
        age_max_s = max(SURVEY_AGE_S, 3 * settings.survey_every_s)
        yield from _account(account, age_max_s, first)
        yield _clock(account, first)
    yield from _bots(desk)


def _named(settings: Settings, desk: str) -> Finding:
    if desk == settings.desk:
        return ok("warden", f"answers for the desk {desk}")
    said = f"answers for the desk {desk}, and these settings are of the desk {settings.desk}"
    return fail("warden", said, "perpguard doctor with the settings of perpguard up, or another control_port")


def _silent(settings: Settings, silence: NoAnswer) -> Finding:
    if isinstance(silence.__cause__, PermissionError):
        return fail("warden", str(silence), run_as_owner(token_path(settings)))
    if isinstance(silence.__cause__, httpx.HTTPError) and _gate(settings).level is Level.OK:
        said = f"{silence}, and a gate does: entries are refused as soon as prices and accounts are too old"
        return fail("warden", said, "see the log of perpguard up for why it does not start; perpguard kill works")
    return warn("warden", str(silence), "perpguard up, with the same settings; is something else on its port?")


def _gate(settings: Settings) -> Finding:
    url = f"http://{asked_at(settings.gate_host, settings.gate_port)}/healthz"

    def asked() -> httpx.Response:
        with httpx.Client(timeout=3, trust_env=False, follow_redirects=False) as client:
            return client.get(url)

    try:
        answer = within(GATE_MAX_S, asked)
        status, told = answer.status_code, answer.json() if answer.is_success else {}
    except (httpx.HTTPError, TimeoutError) as trouble:
        return fail("gate", f"no gate answers ({type(trouble).__name__})", "see the log of perpguard up")
    except ValueError:
        return fail("gate", "what answers there is no gate", _OTHER_ON_PORT)
    if status != httpx.codes.OK:
        return fail("gate", f"answers {status}: it is not ready", "see the log of perpguard up")
    if not isinstance(told, dict) or "policy" not in told:
        return fail("gate", "what answers there is no gate", _OTHER_ON_PORT)
    return ok("gate", f"answers on {settings.gate_host}:{settings.gate_port}")


def _gate_by_tls(settings: Settings, port: int) -> Finding:
    """The second door, and whose certificate it shows; whether bots trust that is between them and its authority."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE

    def shown() -> bytes | None:
        with (
            socket.create_connection((settings.gate_host, port), timeout=3) as plain,
            context.wrap_socket(plain) as greeted,
        ):
            return greeted.getpeercert(binary_form=True)

    try:
        theirs = within(GATE_MAX_S, shown)
        kept = ssl.PEM_cert_to_DER_cert(_first_of(TlsShelf(settings.data_dir).certificate.read_text("ascii")))
    except (OSError, ValueError) as trouble:
        said = f"does not greet on port {port} ({type(trouble).__name__})"
        return fail("gate by TLS", said, "perpguard up anew if gate_https_port was set since; see its log")
    if theirs != kept:
        said = "shows another certificate than the one on disk"
        return fail("gate by TLS", said, "look again in a minute; if it stays so, see the log of perpguard up")
    return ok("gate by TLS", f"answers on {settings.gate_host}:{port}")


def _first_of(chain: str) -> str:
    """The first certificate of a PEM file."""
    return chain[: chain.index(ssl.PEM_FOOTER) + len(ssl.PEM_FOOTER)]


def _desk(desk: Mapping[str, Any], first: str) -> Iterator[Finding]:
    """``first`` is what keeps the exchange from being read, in words; empty where nothing does."""
    yield from _archive(desk["archive"])
    if taken_by := desk.get("taken_by"):  # A warden of the version before does not tell.
        said = f"another guard has it in this store, at {taken_by}: entries are refused (DESK_TAKEN)"
        yield fail("desk", said, "a desk of its own in the settings; the runbook has more: two guards on one store")
    if not desk["store_ok"]:
        said = "the warden does not reach it: entries are refused"
        yield fail("store of the warden", said, "is the warden on the same settings? the runbook has more")
    if desk["generation"] is None:
        said = "the warden cannot read it: everything is stopped"
        yield fail("kill state of the warden", said, "look for what damaged the disk, then perpguard rearm")
    if desk["state"] != "ACTIVE":
        yield warn("desk", _stopped(desk["state"]), _REARM)
    if desk["accounts"]:  # Without one there is nobody whose entries could be refused.
        yield _prices(desk["markets_age_s"], first)


def _archive(archive: Mapping[str, Any]) -> Iterator[Finding]:
    mend = "perpguard audit verify; the runbook says what each message means"
    if not archive["opened"]:
        said = f"does not open: entries are refused: {archive['trouble'] or 'it is being opened'}"
        yield fail("archive of the warden", said, mend)
    elif archive["trouble"]:
        said = f"takes no records, and when too many wait entries are refused: {archive['trouble']}"
        yield fail("archive of the warden", said, mend)


def _prices(age_s: float | None, first: str) -> Finding:
    mend = first or "the exchange cannot be reached, or demands silence; see the log of perpguard up"
    if age_s is None:
        return fail("prices", "none have been read yet: entries are refused (MARKET_STALE)", mend)
    if abs(age_s) > DataFreshness().mark_age_max_s:
        return fail("prices", f"they are {age_s:.0f} s old (MARKET_STALE): {_POLICY_MAY_DIFFER}", mend)
    return ok("prices", f"{age_s:.0f} s old")


def _watchdogs(desk: Mapping[str, Any]) -> Iterator[Finding]:
    """Every one that is configured or ever called, as the precondition of a re-arm looks at them."""
    for each in desk["watchdogs"]:
        check, heard_age_s = f"watchdog {each['name']}".rstrip(), each["heard_age_s"]
        mend = "start it again: perpguard watchdog, or perpguard up where it is local; see its log"
        if each["lost"]:
            heard = "none has called" if heard_age_s is None else f"last heard {heard_age_s:.0f} s ago"
            yield fail(check, f"lost ({heard}): if the guard dies now, nobody flattens in its place", mend)
        elif heard_age_s is None:
            yield warn(check, "none has called yet: if the guard dies now, nobody flattens in its place", mend)
        else:
            yield ok(check, f"heard {heard_age_s:.0f} s ago, {each['duty']}")


def _account(account: Mapping[str, Any], age_max_s: float, first: str) -> Iterator[Finding]:
    name = f"account {account['name']}"
    found = [*_known(name, account, age_max_s, first), *_held(name, account)]
    yield from found or [ok(name, f"ACTIVE, feed {account['feed']['state']}")]


def _known(name: str, account: Mapping[str, Any], age_max_s: float, first: str) -> Iterator[Finding]:
    """Where the guard does not know the account well enough to let anything in."""
    feed, age_s = account["feed"], account["known_age_s"]
    mend = "the exchange cannot be reached, or refuses the key; see the log"
    if first:
        yield fail(name, "has not been read since the start: entries are refused", first)
    elif feed["state"] == "STALE":
        yield fail(name, f"its feed is stale: {feed['why']}", "entries are refused until it is back; see the log")
    elif age_s is None or abs(age_s) > age_max_s:
        yield fail(name, "was not surveyed of late", mend)
    elif abs(age_s) > DataFreshness().account_age_max_s:
        yield warn(name, f"was last known {age_s:.0f} s ago (ACCOUNT_STALE): {_POLICY_MAY_DIFFER}", mend)


def _held(name: str, account: Mapping[str, Any]) -> Iterator[Finding]:
    """What somebody or something has stopped, and who does not keep to it."""
    if account["external_trader"]:
        said = "it was traded past the guard after a kill: somebody else has a key to it"
        yield fail(name, said, "find out who, and take that key away at the exchange; then perpguard rearm")
    if account["kill_running"]:
        yield warn(name, "a kill is making it flat", "wait for its end: perpguard status")
    elif account["state"] != "ACTIVE":
        yield warn(name, _stopped(account["state"]), _REARM)


def _stopped(state: str) -> str:
    harm = {"REDUCING": "only what reduces passes", "HALTED": "no entry passes"}.get(state, "not everything passes")
    return f"is {state}: {harm}"


def _bots(desk: Mapping[str, Any]) -> Iterator[Finding]:
    """Those that something stopped, each once: the view has a row for every key that a bot ever had."""
    for name, bot in {each["name"]: each for each in desk["bots"] if each["state"] != "ACTIVE"}.items():
        said = f"{_stopped(bot['state'])} ({bot['stopped_for'] or 'no reason is known'})"
        yield warn(f"bot {name}", said, f"mend the bot; then perpguard rearm --scope bot:{name}")


def _clock(account: Mapping[str, Any], first: str) -> Finding:
    offset = account["clock_offset_ms"]
    check = f"clock of {account['venue']}"
    if offset is None:
        mend = first or "wait half a minute; if it stays so, the exchange does not answer"
        return warn(check, "not measured yet", mend)
    if abs(offset) > OFFSET_MAX_MS:
        return fail(check, f"{offset:+d} ms from this host's", "set this host's clock (NTP)")
    return ok(check, f"{offset:+d} ms from this host's")
