"""What `docs/practice-exchange.md` lists is what there is."""

from __future__ import annotations

import re

import pytest

from sandbox.cli import _parser
from sandbox.engine.scenario import Scenario
from sandbox.fault_console import ArmFaults
from tests.sandbox.practice import ROOT, PracticeServer

PAGE = (ROOT / "docs" / "practice-exchange.md").read_text(encoding="utf-8")


def section(title: str) -> str:
    return PAGE.split(f"\n## {title}\n")[1].split("\n## ")[0]


def test_every_scenario_has_its_row() -> None:
    assert re.findall(r"^\| `(\w+)` \|", section("Scenarios"), re.MULTILINE) == [str(each) for each in Scenario]


@pytest.mark.parametrize("fault", ArmFaults.__struct_fields__)
def test_every_fault_is_explained(fault: str) -> None:
    assert fault in section("The fault console")


def test_every_option_is_explained() -> None:
    options = {name for action in _parser()._actions for name in action.option_strings} - {"-h", "--help"}
    assert {name for name in options if f"`{name}`" not in PAGE and f"`{name} " not in PAGE} == set()


def test_every_door_on_the_page_opens(venue: PracticeServer) -> None:
    doors = re.findall(r"`(GET|POST|DELETE) /sandbox(/\w+)`", section("The other doors"))
    assert len(doors) >= 12
    for method, path in doors:
        assert venue.control.request(method, path, json={"nothing": 1} if method == "POST" else None).status_code in (
            (400,) if method == "POST" else (200,)
        )


def test_the_curl_lines_do_what_they_say(venue: PracticeServer) -> None:
    posts = re.findall(r"curl -X POST http://127\.0\.0\.1:8090/sandbox(/\w+) -d '(.*?)'", PAGE)
    assert len(posts) >= 7
    for path, body in posts:
        venue.control.post(path, content=body).raise_for_status()


@pytest.mark.parametrize("port", ["99999", "-1", "x", "1_0"])
def test_a_port_that_is_none_is_told_with_the_usage(port: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        _parser().parse_args(["--port", port])
    assert end.value.code == 2 and "not a port, 0 to 65535" in capsys.readouterr().err
