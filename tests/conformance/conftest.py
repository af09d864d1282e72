"""What the conformance tests share: captured requests, and a clearance without a judge."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from rules.decision import _SEAL, Cleared
from rules.model import Command

CAPTURES = Path(__file__).parent / "captures"
VERDICTS = Path(__file__).parent / "verdicts.toml"


@dataclass(frozen=True)
class Case:
    """One call of a real client: what the caller meant, and the requests the client sent for it."""

    sdk: str
    name: str
    secret: str
    intent: dict[str, Any]
    requests: tuple[dict[str, Any], ...]

    def __str__(self) -> str:
        return f"{self.sdk}:{self.name}"


def captured() -> Iterator[Case]:
    for path in sorted(CAPTURES.glob("binance_usdm__*.jsonl")):
        sdk = path.stem.removeprefix("binance_usdm__")
        for line in path.read_text().splitlines():
            case = json.loads(line)
            yield Case(sdk, case["case"], case["api_secret"], case["intent"], tuple(case["requests"]))


def read_verdicts() -> dict[str, dict[str, str]]:
    return tomllib.loads(VERDICTS.read_text())


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "case" in metafunc.fixturenames:
        metafunc.parametrize("case", list(captured()), ids=str)
    if "forwarded" in metafunc.fixturenames:
        committed = read_verdicts()
        passed = [case for case in captured() if committed[case.sdk][case.name] == "forwarded"]
        metafunc.parametrize("forwarded", passed, ids=str)


@pytest.fixture(scope="session")
def cases() -> tuple[Case, ...]:
    return tuple(captured())


@pytest.fixture(scope="session")
def verdicts() -> dict[str, dict[str, str]]:
    return read_verdicts()


@pytest.fixture(scope="session")
def clear() -> Callable[[Command], Cleared[Command]]:
    """A clearance, as only the engine gives one in the house."""
    return lambda command: Cleared(command, _SEAL)
