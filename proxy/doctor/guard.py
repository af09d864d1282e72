"""What the running guard says of itself: the warden's view of the desk, and whether the gates answer."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

import httpx

from proxy.control_client import NoAnswer, Refused, ask
from proxy.doctor.finding import Finding, fail, ok, warn
from proxy.settings import Settings

SURVEY_AGE_S: Final = 60.0
"""Older than this, or than three surveys are apart, is too old; the alert of it says the same."""

OFFSET_MAX_MS: Final = 1_000


def look_at_guard(settings: Settings) -> Iterator[Finding]:
    """Every finding about the processes that run, or that none does."""
    try:
        desk = ask(settings, "GET", "/api/desk")
    except NoAnswer as silence:
        yield warn("warden", str(silence), "perpguard up, with the same settings; is something else on its port?")
        return
    except Refused as refusal:
        yield fail("warden", f"{refusal}", "is another guard on that port? its control token is not this one's")
        return
    yield ok("warden", f"answers for the desk {desk['desk']}")
    yield _gate(settings)
    if not desk["store_ok"]:
        said = "the warden does not reach it: entries are refused"
        yield fail("store of the warden", said, "is the warden on the same settings? the runbook has more")
    for account in desk["accounts"]:
        yield _feed(account, max(SURVEY_AGE_S, 3 * settings.survey_every_s))
        yield _clock(account)


def _gate(settings: Settings) -> Finding:
    host = f"[{settings.gate_host}]" if ":" in settings.gate_host else settings.gate_host
    try:
        with httpx.Client(timeout=3, trust_env=False, follow_redirects=False) as client:
            status = client.get(f"http://{host}:{settings.gate_port}/healthz").status_code
    except httpx.HTTPError as trouble:
        return fail("gate", f"no gate answers ({type(trouble).__name__})", "see the log of perpguard up")
    if status != httpx.codes.OK:
        return fail("gate", f"answers {status}: it is not ready", "see the log of perpguard up")
    return ok("gate", f"answers on {settings.gate_host}:{settings.gate_port}")


def _feed(account: Mapping[str, Any], age_max_s: float) -> Finding:
    name, feed, age = f"account {account['name']}", account["feed"], account["survey_age_s"]
    if feed["state"] == "STALE":
        return fail(name, f"its feed is stale: {feed['why']}", "entries are refused until it is back; see the log")
    if age is None or age > age_max_s:
        return fail(name, "was not surveyed of late", "the exchange cannot be reached, or refuses the key; see the log")
    if account["state"] != "ACTIVE":
        return warn(name, f"is {account['state']}", "perpguard rearm --status")
    return ok(name, f"ACTIVE, feed {feed['state']}")


def _clock(account: Mapping[str, Any]) -> Finding:
    offset = account["clock_offset_ms"]
    check = f"clock of {account['venue']}"
    if offset is None:
        return warn(check, "not measured yet", "wait half a minute; if it stays so, the exchange does not answer")
    if abs(offset) > OFFSET_MAX_MS:
        return fail(check, f"{offset:+d} ms from this host's", "set this host's clock (NTP)")
    return ok(check, f"{offset:+d} ms from this host's")
