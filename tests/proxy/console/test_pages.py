"""The page: whatever strings the desk holds are text on it, and the button is there when the desk cannot be read."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Sequence
from dataclasses import fields, replace
from datetime import UTC, date, datetime
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from markupsafe import escape
from pydantic import SecretStr

import proxy.console
from proxy.console import looking, words
from proxy.console.app import create_console
from proxy.console.desk_views import (
    AccountView,
    BotView,
    DeskView,
    LeaseView,
    LimitView,
    PositionView,
    StopView,
    SymbolView,
    WatchdogView,
)
from proxy.kill.rearm_plane import RearmView
from proxy.kill.report import StepTaken
from proxy.people.register import Register
from proxy.refused import Refused
from proxy.warden.pieces.door import kill_command
from tests.proxy.console.conftest import SAME_ORIGIN, TOKEN, Browser, browse, sign_in
from tests.proxy.console.desk_double import (
    DeskDouble,
    RearmDouble,
    a_bot,
    a_desk,
    a_history,
    a_leg,
    a_limit,
    a_refusal,
    a_story,
    an_account,
)
from tests.support.kills import a_kill, an_account_kill
from tests.support.people import PASSWORD

STATIC = Path(proxy.console.__file__).parent / "static"

CORPUS = [
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "' onfocus=alert(1) autofocus='",
    "javascript:alert(1)",
    "</title></textarea></style><svg onload=alert(1)>",
    "{{7*7}}{% print(1) %}",
    "<a hx-get=/control/kill hx-trigger=load>",
    "<meta http-equiv=refresh content=0>",
    "&lt;b&gt;&#60;b&#62;",
    "\u202e\u0000\ud800<b>",
    "x" * 5000,
]


class Reader(HTMLParser):
    """Collects what a browser would act upon: tags, attribute names, addresses."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.acts: list[tuple[str, tuple[str, ...]]] = []
        self.addresses: set[str] = set()
        self.inline: list[str] = []
        self._tag = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._tag = tag
        self.acts.append((tag, tuple(sorted(name for name, _ in attrs))))
        for name, value in attrs:
            if name in ("src", "href", "action", "hx-get", "hx-post"):
                self.addresses.add(value or "")
            if name.startswith("on") or name == "style":
                self.inline.append(f"{tag} {name}")

    def handle_data(self, data: str) -> None:
        if self._tag in ("script", "style") and data.strip():
            self.inline.append(data)
        self._tag = ""


def poisoned(view: Any, text: str) -> Any:
    """``view`` with every text field that may hold one replaced."""
    return replace(view, **{each.name: text for each in fields(view) if each.type in ("str", "str | None")})


def fill(plane: DeskDouble, text: str) -> None:
    """Put ``text`` into every field the console shows."""
    leg = replace(poisoned(a_leg(), text), stops=(poisoned(StopView(trigger_price="", quantity=""), text),))
    account = replace(
        poisoned(an_account(), text), positions=(leg,), timers=(text,), limits=(poisoned(a_limit(share=2.0), text),)
    )
    plane.history_view = a_history(series={f"leverage:{text}": [1.0] * 240})
    plane.view = replace(
        poisoned(a_desk(), text),
        accounts=(account,),
        symbols=(SymbolView(name=text, state=text),),
        bots=(poisoned(a_bot(), text),),
        watchdogs=(WatchdogView(name=text, duty=text, heard_age_s=1.0, lost=False),),
        leases=(LeaseView(bot=text, account=text, ttl_s=30.0, left_s=-1.0, step=text),),
    )
    plane.refusals = [poisoned(a_refusal(), text)]
    plane.decisions["01JD3M-7f"] = a_story(outcome={text: text}, others=({"nested": [{text: [text]}]},))
    step = poisoned(StepTaken(at=datetime.now(UTC), what=""), text)
    of_accounts = [
        replace(poisoned(an_account_kill(phase), text), scope="desk", steps=(step,), left=(text,))
        for phase in (text, "CANCELLING", "DEGRADED")
    ]
    plane.job = poisoned(a_kill(*of_accounts), text)


PATHS = (
    "/",
    "/positions",
    "/partials/charts",
    "/partials/positions",
    "/partials/desk",
    "/partials/kill",
    "/partials/blocked",
    "/partials/decisions/01JD3M-7f",
)


async def shown(person: Browser, plane: DeskDouble, text: str) -> dict[str, str]:
    fill(plane, text)
    answers = {path: await person.client.get(path) for path in PATHS}
    form = {"csrf": person.csrf, "scope": "desk", "reason": "x"}
    answers["/console/kill"] = await person.client.post("/console/kill", data=form, headers=SAME_ORIGIN)
    plane.refuse = text
    answers["refused"] = await person.client.post("/console/kill", data=form, headers=SAME_ORIGIN)
    plane.refuse = ""
    assert {answer.status_code for answer in answers.values()} <= {200, 202, 409}
    return {path: answer.text for path, answer in answers.items()}


@pytest.mark.parametrize("text", CORPUS, ids=range(len(CORPUS)))
async def test_stored_text_is_text_in_every_field(person: Browser, plane: DeskDouble, text: str) -> None:
    harmless = await shown(person, plane, "harmless")
    for path, page in (await shown(person, plane, text)).items():
        known, read = Reader(harmless[path]), Reader(page)
        assert read.acts == known.acts, path
        assert read.inline == []
        inside = read.addresses - {"#main"}
        assert all(address.startswith("/") and not address.startswith("//") for address in inside)


async def test_a_person_cannot_sign_in_as_a_script(person: Browser) -> None:
    form = {"name": "<script>alert(1)</script>", "password": "wrong", "code": ""}
    answer = await person.client.post("/sign-in", data=form, headers=SAME_ORIGIN)
    assert answer.status_code == 401
    assert "alert(1)" not in answer.text


async def test_every_view_field_was_poisoned() -> None:
    seen = (LimitView, StopView, SymbolView)
    views = (DeskView, AccountView, BotView, PositionView, WatchdogView, LeaseView, *seen)
    kinds = {each.type for view in views for each in fields(view)}
    texts = {kind for kind in kinds if "str" in kind and "Sequence" not in kind}
    assert texts == {"str", "str | None"}


async def test_the_button_is_there_when_the_desk_cannot_be_read(person: Browser, plane: DeskDouble) -> None:
    plane.broken = True
    page = await person.client.get("/")
    assert page.status_code == 200
    assert 'id="hold"' in page.text
    assert "cannot be read" in page.text
    assert "secret" not in page.text


async def test_a_stop_that_cannot_be_read_is_not_said_to_be_none(
    person: Browser, plane: DeskDouble, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "No stop on record" in (await person.client.get("/partials/kill")).text

    async def unreadable() -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(plane, "kill_progress", unreadable)
    part = (await person.client.get("/partials/kill")).text
    assert "No stop on record" not in part
    assert "How far the stop is cannot be read" in part and "every 2s" in part
    assert "how far the stop is cannot be read" in (await person.client.get("/partials/desk")).text


async def hangs() -> None:
    await asyncio.sleep(60)


async def test_looks_that_hang_are_waited_for_briefly_and_all_at_once(
    person: Browser, plane: DeskDouble, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("desk", "kill_progress"):
        monkeypatch.setattr(plane, name, hangs)
    loop = asyncio.get_running_loop()
    for path, said in (("/", "cannot be read"), ("/kill", "cannot be read"), ("/partials/desk", "cannot be read")):
        began = loop.time()
        answer = await person.client.get(path)
        assert (answer.status_code, said in answer.text) == (200, True)
        assert loop.time() - began < looking.LOOK_SECONDS_MAX + 1, path


async def test_the_answer_of_a_press_waits_for_no_look(
    person: Browser, plane: DeskDouble, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(plane, "kill_progress", hangs)
    began = asyncio.get_running_loop().time()
    for path, more in (("/console/kill", {}), ("/console/kill/typed", {"typed": "STOP"})):
        form = {"csrf": person.csrf, "scope": "account:main", "reason": "", **more}
        answer = await person.client.post(path, data=form, headers={**SAME_ORIGIN, "HX-Request": "true"})
        assert answer.status_code == 202
        assert "<strong>Trading is blocked</strong>: account:main, after 12 ms, at 09:30:00 UTC" in answer.text
    assert asyncio.get_running_loop().time() - began < 2 * looking.PRESSED_SECONDS_MAX + 1


async def test_what_is_not_known_is_not_said_to_be_nothing(
    person: Browser, plane: DeskDouble, monkeypatch: pytest.MonkeyPatch
) -> None:
    plane.broken = True
    page = (await person.client.get("/")).text
    assert "never rehearsed" not in page
    plane.history_view = a_history(at=[], series={})
    assert "Nothing has been kept yet" in (await person.client.get("/partials/charts")).text
    plane.history_view = a_history(at=[])  # More values than moments: no history.
    part = (await person.client.get("/partials/charts")).text
    assert "cannot be read" in part and "Nothing has been kept yet" not in part


async def test_stages_that_cannot_be_read_are_not_shown_as_they_were(
    person: Browser, plane: DeskDouble, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def refused(_: RearmDouble) -> None:
        raise Refused("the store did not answer")

    monkeypatch.setattr(RearmDouble, "all", refused)
    for path in ("/rearm", "/partials/rearm"):
        answer = await person.client.get(path)
        assert (answer.status_code, answer.headers["content-type"]) == (409, "text/html; charset=utf-8")
        assert "Not shown:</strong> the store did not answer" in answer.text
        assert 'hx-get="/partials/rearm"' in answer.text, "it is asked again"
        assert (
            "KILLED" not in answer.text
            and "data-choices" not in answer.text.split('id="rearming"')[1].split("<aside")[0]
        )


async def test_what_is_stopped_is_shown_while_a_look_at_it_is_slow_and_the_forms_whatever_is_not_known(
    person: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def slow(double: RearmDouble) -> Sequence[RearmView]:
        await asyncio.sleep(looking.LOOK_SECONDS_MAX + 0.2)
        return tuple(double.desk.scopes.values())

    async def refused(_: RearmDouble) -> None:
        raise Refused("the store did not answer")

    monkeypatch.setattr(RearmDouble, "all", slow)
    page = (await person.client.get("/rearm")).text
    assert "Not shown" not in page and 'data-scope="desk"' in page
    monkeypatch.setattr(RearmDouble, "all", refused)
    page = (await person.client.get("/rearm")).text
    assert "Not shown" in page and page.count('data-needs="rearm" aria') == 3


async def test_where_nothing_is_stopped_there_is_nothing_to_fill_in(person: Browser, plane: DeskDouble) -> None:
    assert (await person.client.get("/rearm")).text.count('data-needs="rearm" aria') == 3
    plane.scopes = {}
    page = (await person.client.get("/rearm")).text
    assert page.count('data-needs="rearm" hidden') == 3
    assert "Nothing is stopped, so nothing can be asked for." in page


async def test_a_change_of_a_person_brings_the_table_along(person: Browser) -> None:
    form = {"csrf": person.csrf, "name": "Vic", "proof": PASSWORD}
    answer = await person.client.post("/console/people/disable", data=form, headers=SAME_ORIGIN)
    assert 'id="people"' in answer.text and 'hx-swap-oob="true"' in answer.text
    assert "disabled" in answer.text[answer.text.index('data-person="Vic"') :][:200]


async def test_lists_to_choose_from_come_with_the_renewal_and_only_whole(person: Browser, plane: DeskDouble) -> None:
    for path in ("/partials/desk", "/partials/scopes"):
        plane.broken = False
        part = (await person.client.get(path)).text
        assert '<template data-choices="stop">' in part and '<option value="bot:momentum">' in part
        plane.broken = True
        assert "data-choices" not in (await person.client.get(path)).text


async def test_the_time_of_a_stop_is_said_with_its_day(person: Browser, plane: DeskDouble) -> None:
    plane.job = a_kill(running=False, flat=True, by="Ada", reason="x", started_at="2026-11-12T02:00:00Z")
    assert "2026-11-12 02:00:00</time> UTC, by Ada: x" in (await person.client.get("/partials/kill")).text


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("2026-11-24T09:30:00Z", "09:30:00"),
        ("2026-11-24T01:30:00+02:00", "2026-11-23 23:30:00"),
        ("2025-11-24T09:30:00+00:00", "2025-11-24 09:30:00"),
        ("soon", "soon"),
    ],
)
def test_a_time_has_its_day_unless_it_is_of_today(text: str, said: str) -> None:
    assert words.clock(text, date(2026, 11, 24)) == said


@pytest.mark.parametrize(("seconds", "is_stale"), [(0.0, False), (-2.0, False), (-3600.0, True), (29.9, False)])
def test_an_age_far_ahead_of_the_clock_is_no_young_one(seconds: float, is_stale: bool) -> None:
    assert words.stale(seconds) is is_stale


async def test_progress_is_asked_for_often_only_while_it_runs(person: Browser, plane: DeskDouble) -> None:
    now = datetime.now(UTC)
    plane.job = a_kill(an_account_kill("VERIFYING", read_backs=(now, now)))
    running = (await person.client.get("/partials/kill")).text
    assert "every 500ms" in running
    assert "2 of 3" in running
    plane.job = replace(plane.job, running=False, flat=True, flat_ms=2412.0)
    ended = (await person.client.get("/partials/kill")).text
    assert "every" not in ended
    assert "Flat in 2.4 s" in ended


async def test_the_kill_of_one_bot_does_not_call_its_account_flat(person: Browser, plane: DeskDouble) -> None:
    account = an_account_kill("FLAT", scope="bot:trend")
    plane.job = a_kill(account, running=False, flat=True, scope="bot:trend")
    page = (await person.client.get("/partials/kill")).text
    assert "<h3>bot trend on main " in page and "what others hold on the account stays" in page
    plane.job = replace(plane.job, scope="desk", accounts=[replace(account, scope="desk")])
    page = (await person.client.get("/partials/kill")).text
    assert "<h3>main " in page and "others" not in page


async def test_a_kill_that_ended_degraded_claims_nothing_that_is_not_proven(person: Browser, plane: DeskDouble) -> None:
    plane.job = a_kill(an_account_kill("DEGRADED", left=("BTCUSDT 1",), why="maintenance"), running=False)
    page = (await person.client.get("/partials/kill")).text
    assert page.count("(done)") == 2
    assert "Not flat" in page
    assert "maintenance" in page


async def test_dust_is_neither_flat_nor_a_failure(person: Browser, plane: DeskDouble) -> None:
    plane.job = a_kill(an_account_kill("FLAT_EXCEPT_DUST"), running=False)
    assert "Flat except dust" in (await person.client.get("/partials/kill")).text


async def test_refusals_are_filtered_by_bot_and_rule(person: Browser, plane: DeskDouble) -> None:
    plane.refusals = [a_refusal(message="of momentum"), a_refusal(bot="grid-1", message="of the grid")]
    table = (await person.client.get("/partials/blocked?bot=grid-1&rule=max_order_value")).text
    assert "of the grid" in table
    assert "of momentum" not in table


async def test_nothing_was_blocked_is_said_at_the_end_alone(person: Browser, plane: DeskDouble) -> None:
    plane.refusals, plane.looked_at_max = [a_refusal(), a_refusal(bot="grid-1")], 1
    part = (await person.client.get("/partials/blocked?bot=grid-1")).text
    assert "Nothing was blocked" not in part
    assert 'href="/blocked"' in part
    plane.refusals = []
    assert "Nothing was blocked" in (await person.client.get("/partials/blocked?bot=grid-1")).text


async def test_a_state_is_said_in_a_word(person: Browser, plane: DeskDouble) -> None:
    plane.view = a_desk(state="HALTED", store_ok=False, markets_age_s=None)
    page = (await person.client.get("/partials/desk")).text
    for word in ("HALTED", "Lost: entries refused", "never, stale"):
        assert word in page


async def test_who_watches_and_who_is_watched_is_shown(person: Browser, plane: DeskDouble) -> None:
    plane.view = a_desk(
        accounts=(an_account(timers=("BTCUSDT", "ETHUSDT")),),
        watchdogs=(
            WatchdogView(name="local", duty="watching", heard_age_s=0.6, lost=False),
            WatchdogView(name="frankfurt", duty="watching", heard_age_s=64.0, lost=True),
            WatchdogView(name="", duty="waiting", heard_age_s=None, lost=True),
        ),
        leases=(
            LeaseView(bot="grid-1", account="main", ttl_s=30.0, left_s=21.0, step=""),
            LeaseView(bot="momentum", account="main", ttl_s=30.0, left_s=-12.0, step="cancel"),
        ),
    )
    page = (await person.client.get("/partials/desk")).text
    for said in (
        "BTCUSDT, ETHUSDT",
        "watching, 0.6 s",
        "Lost: heard 64 s ago",
        "Lost: never heard",
        "21 s",
        "ran out 12 s ago",
        "cancel",
    ):
        assert said in page, said


@pytest.mark.parametrize("name", ["htmx.min.js", "uplot.min.js", "uplot.min.css"])
def test_a_vendored_file_is_the_one_that_is_named(name: str) -> None:
    sum_ = hashlib.sha256((STATIC / name).read_bytes()).hexdigest()
    (row,) = [line for line in (STATIC / "VENDORED.md").read_text().splitlines() if line.startswith(f"| `{name}`")]
    assert sum_ in row


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("64210.50", "64,210.50"),
        ("-7689.96", "−7,689.96"),
        ("0.00000001", "0.00000001"),
        ("NaN", "NaN"),
        ("9" * 5000, "9" * 5000),
        ("", "–"),
        (None, "–"),
    ],
)
def test_digits_are_grouped_and_never_rounded(text: str | None, said: str) -> None:
    assert words.number(text) == said


@pytest.mark.parametrize(
    ("probability", "said"), [(0.0, "0 %"), (0.00012, "0.012 %"), (0.0213, "2.1 %"), (0.5, "50.0 %"), (1.0, "100.0 %")]
)
def test_a_small_probability_keeps_its_digits(probability: float, said: str) -> None:
    assert words.chance(probability) == said


@pytest.mark.parametrize(("value", "said"), [(0.25, "0.2500"), (0.00123, "0.00123"), (1e-9, "0.0000"), (-2, "-2.0000")])
def test_a_score_is_short_and_never_a_lie_of_zero(value: float, said: str) -> None:
    assert words.score(value) == said


async def test_without_contact_the_whole_command_is_told(plane: DeskDouble, register: Register, tmp_path: Path) -> None:
    command = kill_command(tmp_path / "two words", {"PERPGUARD_CONFIG": "/etc/perpguard.toml"})
    assert command.endswith('two words\' --config /etc/perpguard.toml --by NAME --reason "..."')
    app = create_console(plane, plane, token=SecretStr(TOKEN), people=register, kill_command=command)
    async with browse(app) as client:
        await sign_in(client)
        page = (await client.get("/kill")).text
    shown = escape(command)
    assert f"Stop from the guard's machine: <code>{shown}</code>" in page
    assert f"on the guard's machine: {shown}" in page


def test_the_command_names_no_settings_where_the_guard_has_none(tmp_path: Path) -> None:
    assert kill_command(tmp_path, {}) == f'perpguard kill --data-dir {tmp_path} --by NAME --reason "..."'


def test_a_skill_has_its_sign() -> None:
    assert (words.plus(0.081), words.plus(-0.2)) == ("+0.081", "−0.200")


def test_a_score_that_is_not_a_number_counts_as_the_worst() -> None:
    assert (words.share(float("nan")), words.mood(float("nan"))) == (1.0, "odd")


def test_a_drill_down_is_bounded() -> None:
    endless: dict[str, Any] = {}
    endless["again"] = endless
    assert len(words.lines_of(endless)) == 1
    assert len(words.lines_of({"list": list(range(10_000))})) == 301


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("90000.48562855", "90,000.49"),
        ("2998.62576371", "2,998.63"),
        ("0.000012345678", "0.0000123457"),
        ("12.5", "12.5"),
        ("100", "100"),
        ("0", "0"),
        ("NaN", "NaN"),
        (None, "–"),
    ],
)
def test_a_price_in_a_table_is_brief(text: str | None, said: str) -> None:
    assert words.brief(text) == said
