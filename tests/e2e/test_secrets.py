"""T06: after a session with errors, a kill and a re-arm, no secret stands in any file or answer."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from urllib.parse import quote, quote_plus

import httpx
import pytest

from proxy.vault.keys import Secret
from tests.support.people import PASSWORD, link_token, person_at
from tests.support.policies import a_policy, a_rule
from tests.support.practice_client import FORM, Bot, fresh_id
from tests.support.worlds import LiveWorld, children, until

REASON = "end-to-end test of what leaks"
WRITTEN_ON_PURPOSE = {"exchange.toml", "control.token"}
"""The practice exchange's own settings, which hold its secret as a real exchange would, and the token's own file."""


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveWorld]:
    policy = a_policy(a_rule("desk.max_order_value", limit=50_000))
    with LiveWorld(tmp_path_factory.mktemp("secrets") / "data", policy, balance=100_000, gate_workers=2) as running:
        yield running


def canaries(world: LiveWorld) -> dict[str, bytes]:
    """What must stand nowhere, in every spelling somebody might have written it in."""
    secrets = {
        "exchange key": world.exchange_key,
        "exchange secret": world.exchange_secret.reveal(),
        "control token": world.control_token.reveal(),
        "passphrase": world.environment["PERPGUARD_PASSPHRASE"],
        "a person's password": PASSWORD,
        "the first admin's link": link_token(world),
        **{f"guard secret of {name}": key.secret.reveal() for name, key in world.guard_keys.items()},
    }
    return {
        f"{name}, {spelling}": text
        for name, secret in secrets.items()
        for spelling, text in spellings(secret.encode()).items()
    }


def spellings(secret: bytes) -> dict[str, bytes]:
    encoded = {
        # Inside a longer text base64 begins at any of three offsets; the characters at its ends depend on neighbours.
        f"base64 at {offset}": base64.b64encode(b"\0" * offset + secret)[4 if offset else 0 : -4]
        for offset in range(3)
    }
    return encoded | {
        "raw": secret,
        "backwards": secret[::-1],
        "hexadecimal": secret.hex().encode(),
        "url": quote(secret).encode(),
        "form": quote_plus(secret).encode(),
    }


def test_no_secret_stands_in_any_artefact(world: LiveWorld) -> None:
    answers = gate_answers(world)
    world.ask("POST", "/control/kill", {"scope": "desk", "reason": REASON, "by": "Ada Lovelace"})
    answers |= {"the kill by command": kill_by_command(world)}
    until(lambda: not world.ask("GET", "/control/kill")["kill"]["running"], "the kill ends", 120)
    answers |= console_answers(world)
    for words in (
        ["audit", "export"],
        ["audit", "--blocked", "--json"],
        ["audit", "verify"],
        ["keys", "list"],
        ["check"],
    ):
        done = world.command(*words)
        answers[" ".join(words)] = (done.stdout + done.stderr).encode()
    answers |= {f"the command line of {pid}": Path(f"/proc/{pid}/cmdline").read_bytes() for pid in processes(world)}

    assert len(answers) > 25
    assert sum(len(text) for text in answers.values()) > 20_000
    artefacts = answers | {str(path): path.read_bytes() for path in files(world.data_dir)}
    names = " ".join(artefacts)
    for part in ("guard.log", "exchange.log", "audit.db", "vault.json", "appendonly", "gate-", "jobs/demo"):
        assert part in names, f"{part} was not looked at"
    leaks = [
        (where, what) for where, text in artefacts.items() for what, canary in canaries(world).items() if canary in text
    ]
    assert leaks == []


def test_the_search_would_have_found_them(world: LiveWorld) -> None:
    """The files left out hold the secrets, so the search above is no search for nothing."""
    found = (world.data_dir / "exchange.toml").read_bytes()
    assert [what for what, canary in canaries(world).items() if canary in found and what.endswith("raw")] == [
        "exchange key, raw",
        "exchange secret, raw",
    ]


def files(directory: Path) -> list[Path]:
    return [path for path in directory.rglob("*") if path.is_file() and path.name not in WRITTEN_ON_PURPOSE]


def processes(world: LiveWorld) -> list[int]:
    return [world.guard_pid, *children(world.guard_pid)]


def gate_answers(world: LiveWorld) -> dict[str, bytes]:
    """A session of orders, refusals and every kind of error; the answers with their headers."""
    bot = world.bot
    stranger = Bot(bot.base_url, bot.key, Secret("x" * 64))
    world.door.arm(unknown_503=1)
    dark = bot.order("ETHUSDT", "BUY", "0.1", 2_900)
    world.door.arm(drop_reply=1)
    lost = bot.order("ETHUSDT", "BUY", "0.1", 2_901)
    world.door.arm(reject_429=1)
    hasty = bot.order("ETHUSDT", "BUY", "0.1", 2_902)
    world.door.disarm()
    replies = {
        "an answer lost": dark,
        "a connection lost": lost,
        "too many requests": hasty,
        "an order": bot.order("BTCUSDT", "BUY", "0.1"),
        "a stop": bot.stop("BTCUSDT", "SELL", "0.1", 85_500),
        "a resting order": bot.order("BTCUSDT", "BUY", "0.01", 85_000),
        "a refusal": bot.order("BTCUSDT", "BUY", "5"),
        "a refusal of the exchange": bot.order("BTCUSDT", "BUY", "0.01", 1),
        "a cancel of nothing": bot.send("DELETE", "/fapi/v1/order", symbol="BTCUSDT", origClientOrderId=fresh_id()),
        "a wrong signature": stranger.order("BTCUSDT", "BUY", "0.01"),
        "a bad number": bot.order("BTCUSDT", "BUY", "NaN"),
        "a stale request": bot.order("BTCUSDT", "BUY", "0.01", timestamp="1"),
        "an unknown route": bot.send("POST", "/fapi/v1/nope", symbol="BTCUSDT"),
        "a key's administration": bot.send("GET", "/sapi/v1/sub-account/subAccountApi"),
        "the account": bot.send("GET", "/fapi/v3/account"),
        "no key": bot.client.post("/fapi/v1/order", content="symbol=BTCUSDT", headers=FORM),
        "no route at all": httpx.get(bot.base_url.removesuffix("/binanceusdm") + "/nope", trust_env=False),
    }
    return {f"the gate to {name}": whole(reply) for name, reply in replies.items()}


def kill_by_command(world: LiveWorld) -> bytes:
    done = world.command("kill", "--reason", REASON, "--by", "Ada Lovelace")
    assert done.returncode == 0, done.stderr
    return (done.stdout + done.stderr).encode()


def console_answers(world: LiveWorld) -> dict[str, bytes]:
    """Every page and every answer of the control door, as a person and as a machine, right and wrong."""
    token = {"authorization": f"Bearer {world.control_token.reveal()}"}
    base = world.places.console.rstrip("/")
    origin = {"origin": base, "sec-fetch-site": "same-origin"}
    decision = world.ask("GET", "/api/blocked")["blocked"][0]["id"]
    with httpx.Client(base_url=base, trust_env=False, timeout=30) as machine:
        replies = {
            path: machine.get(path, headers=token)
            for path in ("/api/desk", "/api/blocked", "/control/kill", f"/api/decisions/{decision}", "/api/nope")
        }
        replies["a wrong token"] = machine.get("/api/desk", headers={"authorization": "Bearer nonsense"})
        replies["a wrong body"] = machine.post("/control/kill", headers=token, json={"scope": "moon"})
        replies["a wrong re-arm"] = machine.post(
            "/control/rearm", headers=token, json={"scope": "desk", "name": "xy", "reason": "y", "typed": "z"}
        )
    with httpx.Client(base_url=base, trust_env=False, timeout=30) as person:
        replies["the sign-in page"] = person.get("/sign-in")
        wrong = {"name": "Ada", "password": "nonsense", "code": ""}
        replies["a wrong sign-in"] = person.post("/sign-in", data=wrong, headers=origin)
        right = wrong | {"name": "Ada Lovelace", "password": person_at(world, "Ada Lovelace")}
        signed_in = person.post("/sign-in", data=right, headers=origin)
        assert signed_in.status_code == 303, signed_in.text
        replies["a sign-in"] = signed_in
        pages: Mapping[str, httpx.Response] = {
            path: person.get(path)
            for path in (
                "/",
                "/partials/desk",
                "/partials/kill",
                "/partials/blocked",
                f"/partials/decisions/{decision}",
            )
        }
        assert {page.status_code for page in pages.values()} == {200}
        assert re.search("HALTED|stopped", pages["/"].text)
    return {f"the console to {name}": whole(reply) for name, reply in {**replies, **pages}.items()}


def whole(reply: httpx.Response) -> bytes:
    """Status line aside, everything that was answered."""
    headers = "\n".join(f"{name}: {value}" for name, value in reply.headers.items())
    return headers.encode() + b"\n" + reply.content
