"""Schemathesis at the control API over real HTTP: a machine and a person send what the description allows, and what it
does not. ``PERPGUARD_PROOF`` (1 to 100) multiplies the cases: 10,000 and more in ``make proof``.

What is asked of every answer: no 5xx, no status or media type that is not described, the described shape with nothing
beside it, no valid request turned away as malformed, no invalid one accepted.
"""

from __future__ import annotations

import os
import re
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import pytest
import requests
import schemathesis
import uvicorn
from fastapi import FastAPI
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from hypothesis.errors import Unsatisfiable
from schemathesis import Case, GenerationMode

from proxy.clock import utc_now
from proxy.console.openapi import document
from proxy.people.register import Register
from tests.proxy.console.desk_double import TOKEN, DeskDouble
from tests.support.control_api import control_api
from tests.support.openapi import closed, for_sender
from tests.support.people import PASSWORD

pytestmark = pytest.mark.full

PROOF = min(100, max(1, int(os.environ.get("PERPGUARD_PROOF", "1"))))
SEED = int(os.environ.get("PERPGUARD_SEED", "20261127"))
EXAMPLES = max(2, PROOF * 3 // 2)
"""Of each operation, each sender, valid and not."""

KNOWN = {"proof": PASSWORD, "name": "Ada Lovelace", "channel": "pager"}
"""What no generator hits upon: that there is such a person, their password, and a channel."""

QUIET = settings(deadline=None, database=None, suppress_health_check=list(HealthCheck), phases=[Phase.generate])


@dataclass(frozen=True)
class Served:
    """A control API on the loopback, what it says of itself, and what its senders' requests carry."""

    base: str
    document: Mapping[str, Any]
    headers: Mapping[str, Mapping[str, str]]


@pytest.fixture
def app(plane: DeskDouble, desk_people: Path, register: Register, tmp_path: Path) -> FastAPI:
    return control_api(plane, register, tmp_path, utc_now)


@pytest.fixture
async def served(app: FastAPI) -> Any:
    server = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=0, log_level="critical"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    base = f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    yield Served(base, document(app, cookie="perpguard_session"), await senders(base))
    server.should_exit = True
    thread.join(timeout=10)


async def senders(base: str) -> dict[str, dict[str, str]]:
    own = {"Origin": base, "Sec-Fetch-Site": "same-origin"}
    async with httpx.AsyncClient(base_url=base, trust_env=False) as client:
        form = {"name": "Ada Lovelace", "password": PASSWORD, "code": ""}
        assert (await client.post("/sign-in", data=form, headers=own)).status_code == 303
        csrf = re.search(r'name="csrf" value="([^"]+)"', (await client.get("/")).text)
        assert csrf is not None
        cookie = f"perpguard_session={client.cookies['perpguard_session']}"
    machine = {"Authorization": f"Bearer {TOKEN}"}
    return {"machine": machine, "person": {**own, "X-CSRF-Token": csrf[1], "Cookie": cookie}}


def operations(served: Served, sender: str, mode: GenerationMode) -> Iterator[Any]:
    """Every operation as this sender may use it, or may not."""
    told = for_sender(closed(served.document), sender, readable=mode is GenerationMode.POSITIVE)
    schema: Any = schemathesis.openapi.from_dict(told)
    schema.config.update(base_url=served.base)
    schema.config.checks.positive_data_acceptance.expected_statuses = ["2xx", "401", "403", "404", "409", "429"]
    schema.config.checks.negative_data_rejection.expected_statuses = ["401", "403", "404", "409", "413", "422", "429"]
    for found in schema.get_all_operations():
        yield found.ok()


@pytest.mark.parametrize("sender", ["machine", "person"])
def test_proof_nothing_is_answered_that_is_not_described(served: Served, sender: str) -> None:
    seen: Counter[tuple[str, str, int]] = Counter()
    with requests.Session() as session:
        session.trust_env = False
        session.headers.update(served.headers[sender])
        for mode in (GenerationMode.POSITIVE, GenerationMode.NEGATIVE):
            for operation in operations(served, sender, mode):
                ask(session, operation, mode, seen)
    print(f"{sum(seen.values())} cases as a {sender}, seed {SEED}:", *sorted(seen.items()), sep="\n")
    assert sum(seen.values()) > 35 * EXAMPLES
    let_in = {name for name, sent, status in seen if sent == GenerationMode.POSITIVE.value and status < 300}
    assert let_in >= open_to_any_content(served)


def ask(session: requests.Session, operation: Any, mode: GenerationMode, seen: Counter[tuple[str, str, int]]) -> None:
    """So many cases of one operation, each answer held against the description."""

    @seed(SEED)
    @settings(QUIET, max_examples=EXAMPLES)
    @given(case=operation.as_strategy(generation_mode=mode))
    def one(case: Case[Any, Any]) -> None:
        if mode is GenerationMode.POSITIVE and isinstance(case.body, dict):
            case.body |= {name: text for name, text in KNOWN.items() if name in case.body}
        answer = case.call(session=session)
        seen[operation.label, mode.value, answer.status_code] += 1
        case.validate_response(answer)

    # An operation that takes nothing: nothing it could be sent is wrong.
    with suppress(Unsatisfiable):
        one()


def open_to_any_content(served: Served) -> set[str]:
    """The operations that a valid request is bound to get through: not those that name one of few things, or carry a
    proof of their own."""
    names = {f"{method.upper()} {path}" for path, each in served.document["paths"].items() for method in each}
    return {name for name in names if "{" not in name and name not in ("POST /control/command", "POST /watchdog")}


METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "PROPFIND"]
"""Those the server's parser knows; it closes the connection at others, before there is a request."""


def test_proof_other_methods_and_paths_are_problems_too(served: Served) -> None:
    paths = served.document["paths"]
    near = st.sampled_from(sorted(paths)).map(lambda path: path.replace("{", "").replace("}", ""))
    strewn = st.text(alphabet="/.%:;?#&=+~-_ abAB09{}\\\u00e9\u0000\r\n", max_size=24)

    with httpx.Client(base_url=served.base, headers=dict(served.headers["machine"]), trust_env=False) as client:

        @seed(SEED)
        @settings(QUIET, max_examples=100 * PROOF)
        @given(method=st.sampled_from(METHODS), path=near, more=st.one_of(st.just(""), strewn))
        def one(method: str, path: str, more: str) -> None:
            answer = client.request(method, served.base + path + quote(more, safe="/%:;?&=+~-{}"))
            assert answer.status_code < 500
            if answer.status_code >= 400 and method != "HEAD":
                assert answer.headers["content-type"] == "application/problem+json"
                assert answer.json()["status"] == answer.status_code
            if not more and path in paths and method.lower() not in paths[path]:
                assert answer.status_code == 405
                assert answer.headers["allow"] == ", ".join(sorted(each.upper() for each in paths[path]))

        one()
