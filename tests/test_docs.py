"""The documents say what the code does: what they list is compared with what there is, and the links lead somewhere."""

from __future__ import annotations

import argparse
import ast
import dataclasses
import json
import re
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import ccxt
import ccxt.pro
import pytest
from binance.async_client import AsyncClient
from binance.client import BaseClient
from binance.exceptions import BinanceAPIException
from binance.ws.streams import BinanceSocketManager

from docs.generate import PARTS, spliced
from proxy.cli import _parser
from proxy.policy.reading import parse_policy
from proxy.practice.world import World
from proxy.reference.clauses import BY_THE_GUARD, CLAUSES
from proxy.reference.rule_pages import rule_page, rules_json
from proxy.settings import Settings, load_settings
from proxy.venues.binance import rejections
from proxy.venues.binance.rejections import Rejection, for_breach
from proxy.venues.binance.routes import ROUTES
from rules.catalog import CATALOG
from rules.custom import CustomRule
from rules.decision import BATCH_REFUSED, Breach

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs"
PAGES = (*sorted(ROOT.glob("*.md")), *sorted(DOCS.rglob("*.md")), ROOT / "bench" / "README.md")
CODE = re.compile(r"[A-Z][A-Z0-9]*(?:_[A-Z0-9]+)*")
GUARD_CODE = re.compile(r"GUARD ([A-Z][A-Z_]+[A-Z])\b")


def text(path: Path) -> str:
    return path.read_text(encoding="utf-8")


def section(page: str, heading: str) -> str:
    """What stands under ``## heading``, up to the next one."""
    found = re.search(rf"^## {re.escape(heading)}\n(.*?)(?=^## |\Z)", page, re.MULTILINE | re.DOTALL)
    assert found is not None, f"no heading {heading}"
    return found[1]


def table_rows(page: str) -> Iterator[list[str]]:
    """The cells of every row of every table, headings and rulers among them."""
    for line in page.splitlines():
        if line.startswith("| "):
            yield [cell.strip() for cell in line.strip().strip("|").split("|")]


def listed_codes(page: str) -> list[str]:
    """The codes in the first column of a page's tables."""
    first = [row[0].strip("`") for row in table_rows(page) if row[0].startswith("`")]
    return [code for code in first if CODE.fullmatch(code)]


NOT_SERVED = {
    "RTS 6 art. 16(5)",  # Alerts by other ways than the console, the log and the audit are still to come.
}

# Rules


def test_no_default_of_a_rule_is_shown_as_only_python_writes_it() -> None:
    for rule in json.loads(rules_json(None)):
        for setting in rule["settings"]:
            assert "<" not in setting["default"], f"{rule['id']}.{setting['name']}: {setting['default']}"


@pytest.mark.parametrize(("name", "part"), PARTS.items(), ids=PARTS)
def test_what_the_code_says_of_itself_is_what_the_page_says(name: str, part: Callable[[], str]) -> None:
    page = text(DOCS / name)
    assert spliced(page, part()) == page, "run `make docs`"


@pytest.mark.parametrize("rule_id", CATALOG)
def test_a_rule_explains_itself(rule_id: str) -> None:
    rule = CATALOG[rule_id]
    assert len(rule.__doc__ or "") > 60
    assert rule.codes
    assert set(rule.clauses) <= set(CLAUSES)
    page = rule_page(rule)
    for field in dataclasses.fields(rule):
        assert f"| `{field.name}` | " in page or field.name in ("enforcement", "level")


def test_every_example_of_a_rule_is_a_policy() -> None:
    head = '[policy]\nname = "docs"\nowner = "docs@desk.example"\n'
    examples = re.findall(r"```toml\n(.*?)```", text(DOCS / "rules.md"), re.DOTALL)
    shown = {each.group(1) for example in examples for each in re.finditer(r"^\[\w+(?:\.\w+)*\.(\w+)\]", example, re.M)}
    assert shown >= {rule_id for rule_id, rule in CATALOG.items() if dataclasses.fields(rule)[2:]}
    for example in examples:
        parse_policy(example if "[policy]" in example else head + example)


def test_every_clause_is_served_by_something_or_said_not_to_be() -> None:
    serving = {clause for rule in CATALOG.values() for clause in rule.clauses}
    assert set(BY_THE_GUARD) <= set(CLAUSES)
    assert set(CLAUSES) - serving - set(BY_THE_GUARD) <= NOT_SERVED


# Codes


def codes_in_the_source() -> set[str]:
    """Every code the guard can answer with: in a message after ``GUARD``, or as the code of a breach."""
    found: set[str] = {code for rule in (*CATALOG.values(), CustomRule) for code in rule.codes} | {BATCH_REFUSED}
    sources = [*(ROOT / "rules").rglob("*.py"), *(ROOT / "proxy" / "gate").rglob("*.py")]
    for path in (*sources, *(ROOT / "proxy" / "venues").rglob("*.py")):
        for node in ast.walk(ast.parse(text(path))):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                found |= set(GUARD_CODE.findall(node.value))
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "Breach":
                found |= {
                    str(keyword.value.value)
                    for keyword in node.keywords
                    if keyword.arg == "code" and isinstance(keyword.value, ast.Constant)
                }
    return found


def test_codes_lists_every_code_once_and_nothing_else() -> None:
    listed = listed_codes(text(DOCS / "codes.md"))
    assert sorted(listed) == sorted(codes_in_the_source())


def by_the_guard_itself() -> dict[str, Rejection]:
    """Rejections the module builds without a breach, by code."""
    makers: list[Any] = [
        rejections.exchange_not_reached,
        rejections.cannot_judge,
        rejections.unauthorised,
        rejections.key_disabled,
        rejections.bad_signature,
        rejections.logon_key_kind,
        lambda: rejections.too_many_under_way(32),
        rejections.venue_unreachable,
        rejections.stale_timestamp,
        rejections.replayed,
        rejections.not_this_bots_connection,
        rejections.internal,
        lambda: rejections.unknown_route("POST", "/fapi/v9/order"),
        lambda: rejections.account_wide("this"),
        rejections.timer_not_kept,
        rejections.lease_not_kept,
        lambda: rejections.too_many_timers(200),
    ]
    found = {}
    for make in makers:
        rejection = make()
        (code,) = GUARD_CODE.findall(rejection.msg)
        found[code] = rejection
    return found


def test_the_answers_codes_promises_are_the_answers_clients_get() -> None:
    own = by_the_guard_itself()
    from_rules = {code: rule.rule_id for rule in CATALOG.values() for code in rule.codes}
    from_rules |= {"VENUE_BUDGET_RESERVED": "venue_budget", "VENUE_SILENCE": "venue"}  # As a breach, and no rule's.
    checked = set()
    for row in table_rows(text(DOCS / "codes.md")):
        code = row[0].strip("`")
        if not row[0].startswith("`") or not CODE.fullmatch(code):
            continue
        _, status, number, exception, *_, advice = row
        assert advice, code
        rejection = own.get(code)
        if rejection is None and code in from_rules:
            rejection = for_breach(Breach(rule_id=from_rules[code], code=code, message="a message"))
        if rejection is not None:
            assert (status, number) == (str(rejection.status), str(rejection.code)), code
            assert exception == raised_by_ccxt(rejection), code
            checked.add(code)
    assert checked == set(own) | set(from_rules)


def test_the_answers_without_a_code_are_the_answers_clients_get() -> None:
    rows = {row[0]: row for row in table_rows(text(DOCS / "codes.md"))}
    unknown = rejections.unknown_outcome()
    assert rows["execution status unknown"][1:4] == [str(unknown.status), str(unknown.code), raised_by_ccxt(unknown)]
    moved = Rejection(400, -4120, "Order type not supported for this endpoint.")
    assert rows["conditional type on `/fapi/v1/order`"][1:4] == ["400", "-4120", raised_by_ccxt(moved)]


def raised_by_ccxt(rejection: Rejection, base: str = "http://127.0.0.1:8080", hostname: str = "binance.com") -> str:
    """The class ccxt makes of an answer behind this address."""
    client = ccxt.binanceusdm({"hostname": hostname})
    body = rejection.body().decode()
    try:
        client.handle_errors(
            rejection.status, "", f"{base}/binanceusdm/fapi/v1/order", "POST", {}, body, json.loads(body), None, None
        )
    except ccxt.BaseError as error:
        return type(error).__name__
    return "none"


def test_the_classes_lost_behind_a_plain_address_are_as_venues_says() -> None:
    part = text(DOCS / "venues.md").split("### Error classes behind a plain address")[1].split("###")[0]
    rows = [row for row in table_rows(part) if row[0].startswith("-") and row[0][1].isdigit()]
    assert rows
    for numbers, kept, lost in rows:
        for number in numbers.split(", "):
            answer = Rejection(400, int(number), "x")
            assert raised_by_ccxt(answer) == lost, number
            guard = "guard.example:8443"
            assert raised_by_ccxt(answer, f"https://fapi.{guard}", guard) == kept, number


# Routes, commands, settings, log lines


def test_venues_lists_every_route_and_every_reason() -> None:
    page = text(DOCS / "venues.md")
    listed = set(re.findall(r"`((?:GET|POST|PUT|DELETE) /[\w/.-]+)`", page))
    known = {f"{route.method} {route.path}" for route in ROUTES}
    assert known <= listed
    # The rest of the page may name paths; what looks like a row must be one.
    assert {each for each in listed if each not in known} == set()
    assert all(route.reason in page for route in ROUTES)


def commands(parser: argparse.ArgumentParser, prefix: str = "perpguard") -> Iterator[str]:
    """Every command and subcommand as one types it."""
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for name, child in action.choices.items():
                yield f"{prefix} {name}"
                yield from commands(child, f"{prefix} {name}")


def test_every_command_stands_in_the_readme_or_the_docs() -> None:
    pages = "\n".join(text(page) for page in PAGES)
    missing = [command for command in commands(_parser()) if command not in pages]
    assert missing == []


def test_no_page_names_a_command_that_is_not_there() -> None:
    first_words = {command.split()[1] for command in commands(_parser())}
    for page in PAGES:
        for name in re.findall(r"`perpguard (?!--)([a-z-]+)", text(page)):
            assert name in first_words, f"{page.name}: perpguard {name}"


def test_every_settings_key_is_explained_in_the_production_example() -> None:
    example = text(ROOT / "configs" / "production.example.toml")
    secrets = {"passphrase", "control_token", "audit_url", "audit_url_file", "audit_webhook"}
    for name in Settings.model_fields:
        shown = rf"`{name}`" if name in secrets else rf"^(?:# )?{name} = |^(?:# )?\[{name}\."
        assert re.search(shown, example, re.MULTILINE), name
    assert "url" in example


@pytest.mark.parametrize("name", ["production.example.toml", "demo.toml"])
def test_the_settings_files_load(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in ("PERPGUARD_DATA_DIR", "PERPGUARD_POLICY", "PERPGUARD_STORE_URL"):
        monkeypatch.delenv(variable, raising=False)
    settings = load_settings(ROOT / "configs" / name, {})
    assert settings.policy.is_file()
    if name.startswith("production"):
        assert settings.hosts("binanceusdm")["fapi"] == "https://fapi.binance.com"
        assert settings.passphrase is None and settings.control_token is None


def test_the_production_example_shows_the_defaults_it_does_not_mean_to_change() -> None:
    shown = tomllib.loads(text(ROOT / "configs" / "production.example.toml"))
    meant = {"data_dir", "policy", "venues", "control_names", "watchdog"}
    defaults = Settings()
    for name, value in shown.items():
        if name not in meant:
            assert value == getattr(defaults, name), name


def log_messages() -> Iterator[tuple[Path, str]]:
    """The text of every warning, error and exception the guard logs."""
    for path in (ROOT / "proxy").rglob("*.py"):
        for node in ast.walk(ast.parse(text(path))):
            if (
                isinstance(node, ast.Call)
                and isinstance(node.func, ast.Attribute)
                and node.func.attr in ("warning", "error", "exception")
                and getattr(node.func.value, "id", "") == "log"
                and isinstance(node.args[0], ast.Constant)
            ):
                yield path, str(node.args[0].value)


def test_the_runbook_explains_every_line_of_the_log() -> None:
    page = section(text(DOCS / "runbook.md"), "What the log says")
    listed = [each.strip("… ") for row in table_rows(page) for each in re.findall(r"`([^`]+)`", row[0])]
    spelled = [re.escape(each).replace("…", ".+") for each in listed]
    for path, message in log_messages():
        assert any(re.match(rf"(?:%s )?{each}", message) for each in spelled), f"{path.name}: {message}"


# Pages


def anchors(page: Path) -> set[str]:
    """The fragments a page's headings can be reached under."""
    headings = re.findall(r"^#+ (.+)$", text(page), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_relative_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", text(page)):
        if target.startswith(("http://", "https://", "mailto:")):
            continue
        path, _, fragment = target.partition("#")
        linked = (page.parent / path).resolve() if path else page
        assert linked.exists(), target
        if fragment:
            assert fragment in anchors(linked), target


def test_every_page_is_reached_from_the_readme() -> None:
    reached: set[Path] = set()
    ahead = [ROOT / "README.md"]
    while ahead:
        page = ahead.pop()
        if page in reached or page.suffix != ".md":
            continue
        reached.add(page)
        for target in re.findall(r"\]\(([^)\s#]+)", text(page)):
            if "://" not in target:
                ahead.append((page.parent / target).resolve())
    assert {page for page in PAGES if DOCS in page.parents} <= reached


@pytest.mark.parametrize("page", ["threat-model.md", "failure-modes.md"])
def test_the_tests_a_page_points_to_are_there(page: str) -> None:
    for target in re.findall(r"`(tests/[\w/.]+(?:::\w+)?)`", text(DOCS / page)):
        path, _, name = target.partition("::")
        assert (ROOT / path).is_file(), target
        assert not name or re.search(rf"^(?:async )?def {name}\(", text(ROOT / path), re.MULTILINE), target


def test_every_failure_of_a_kill_has_a_test_that_is_named_after_it() -> None:
    rows = [row for row in table_rows(text(DOCS / "failure-modes.md")) if re.fullmatch(r"F\d\d", row[0])]
    assert [row[0] for row in rows] == [f"F{number:02}" for number in range(1, 31)]
    for name, _, _, tests, removed in rows:
        named = re.findall(r"::(test_f\d\d)_", tests)
        assert named and set(named) == {f"test_{name.lower()}"}, name
        assert removed.strip(), name


def test_no_page_carries_a_placeholder_or_a_path_of_somebodys_machine() -> None:
    for page in PAGES:
        assert not re.search(r"TODO|FIXME|XXX|_HERE\b|/home/|/work/|/root/", text(page)), page.name


def test_every_dependency_has_its_reason() -> None:
    reasons = {
        name.strip()
        for row in table_rows(text(DOCS / "decisions" / "0002-dependencies.md"))
        for name in row[0].split(",")
    }
    for requirements in ("run.in", "dev.in"):
        for line in text(ROOT / "requirements" / requirements).splitlines():
            if line and not line.startswith(("#", "-")):
                assert line in reasons, line


# The README as a new user would follow it


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    directory = tmp_path_factory.mktemp("readme")
    with World(directory, ROOT / "configs" / "policies" / "demo.toml", scenario="flat") as running:
        yield running


def snippet(language: str, containing: str, world: World) -> str:
    """A block of the README with this world's address and key in it."""
    blocks = re.findall(rf"```{language}\n(.*?)```", text(ROOT / "README.md"), re.DOTALL)
    block: str
    (block,) = (each for each in blocks if containing in each)
    return (
        block.replace("http://127.0.0.1:8080/binanceusdm", world.places.gate)
        .replace("ws://127.0.0.1:8080/binanceusdm", world.places.gate.replace("http", "ws", 1))
        .replace("GUARD_KEY", world.guard_key.key)
        .replace("GUARD_SECRET", world.guard_key.secret.reveal())
    )


def trades_within_limits(exchange: Any) -> None:
    exchange.load_markets()
    assert exchange.create_order("BTC/USDT:USDT", "market", "buy", 0.002)["id"]
    with pytest.raises(ccxt.InvalidOrder, match="ORDER_VALUE_ABOVE_LIMIT"):
        exchange.create_order("BTC/USDT:USDT", "market", "buy", 5)


def test_the_ccxt_snippet_trades_and_is_refused(world: World) -> None:
    names: dict[str, Any] = {}
    exec(snippet("python", "ccxt.binanceusdm", world), names)
    trades_within_limits(names["exchange"])


async def test_the_ccxt_snippet_watches_and_trades_on_sockets(world: World) -> None:
    names: dict[str, Any] = {}
    exec(snippet("python", "ccxt.binanceusdm", world).replace("import ccxt\n", "import ccxt.pro as ccxt\n"), names)
    exchange = names["exchange"]
    try:
        assert (await exchange.watch_ticker("BTC/USDT:USDT"))["last"] > 0
        assert (await exchange.create_order_ws("BTC/USDT:USDT", "market", "buy", 0.002))["id"]
    finally:
        await exchange.close()


def test_the_freqtrade_snippet_is_what_ccxt_takes(world: World) -> None:
    config = json.loads(snippet("json", "trading_mode", world))["exchange"]
    options = {"options": {"defaultType": "swap"}, **config["ccxt_config"]}
    exchange = getattr(ccxt, config["name"])({"apiKey": config["key"], "secret": config["secret"], **options})
    trades_within_limits(exchange)


PYTHON_BINANCE = ("API_URL", "MARGIN_API_URL", "FUTURES_URL", "FUTURES_DATA_URL", "WS_FUTURES_URL")


async def test_the_python_binance_snippet_trades_and_is_refused(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in PYTHON_BINANCE:
        monkeypatch.setattr(BaseClient, name, getattr(BaseClient, name))  # Taken back when the test is over.
    monkeypatch.setattr(BinanceSocketManager, "FSTREAM_URL", BinanceSocketManager.FSTREAM_URL)
    names: dict[str, Any] = {}
    exec(snippet("python", "from binance.client", world), names)
    order = {"symbol": "BTCUSDT", "side": "BUY", "type": "MARKET"}
    assert names["client"].futures_create_order(**order, quantity=0.002)["orderId"]
    with pytest.raises(BinanceAPIException, match="ORDER_VALUE_ABOVE_LIMIT"):
        names["client"].futures_create_order(**order, quantity=5)
    on_sockets = AsyncClient(world.guard_key.key, world.guard_key.secret.reveal())
    try:
        async with BinanceSocketManager(on_sockets).futures_multiplex_socket(["btcusdt@markPrice@1s"]) as socket:
            assert float((await socket.recv())["data"]["p"]) > 0
        assert (await on_sockets.ws_futures_create_order(**order, quantity=0.002))["orderId"]
    finally:
        await on_sockets.close_connection()


def test_architecture_has_a_line_for_every_folder() -> None:
    told = [row[0].strip("`") for row in table_rows(section(text(DOCS / "architecture.md"), "The folders"))][1:]
    assert sorted(told) == sorted(path.parent.name for path in (ROOT / "proxy").glob("*/__init__.py"))


def test_the_list_of_decisions_has_them_all() -> None:
    first, *others = sorted((DOCS / "decisions").glob("*.md"))
    assert re.findall(r"\]\((\d{4}-[^)]+)\)", text(first)) == [path.name for path in others]
