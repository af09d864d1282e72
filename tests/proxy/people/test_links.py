"""The link of a first start, and where links lead."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from proxy.people.file import PeopleFile, PeopleUnreadable
from proxy.people.links import first_admin_token, link_of
from proxy.settings import Settings
from tests.support.people import write_people

NOW = datetime(2026, 11, 24, 9, 30, tzinfo=UTC)


def test_each_start_without_an_admin_has_a_link_of_its_own(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path)
    first, second = first_admin_token(settings, NOW), first_admin_token(settings, NOW)
    assert first is not None and second is not None and first != second
    people = PeopleFile(tmp_path).read()
    assert people.link(first, NOW) is None
    assert people.link(second, NOW) is not None
    assert second not in PeopleFile(tmp_path).path.read_text()


def test_with_an_admin_there_is_none_and_a_damaged_file_is_no_first_start(tmp_path: Path) -> None:
    write_people(tmp_path)
    assert first_admin_token(Settings(data_dir=tmp_path), NOW) is None
    PeopleFile(tmp_path).path.write_bytes(b"{}")
    with pytest.raises(PeopleUnreadable):
        first_admin_token(Settings(data_dir=tmp_path), NOW)


@pytest.mark.parametrize(
    ("settings", "link"),
    [
        pytest.param({}, "http://127.0.0.1:8081/welcome/x", id="loopback"),
        pytest.param({"control_host": "0.0.0.0"}, "http://127.0.0.1:8081/welcome/x", id="every address"),
        pytest.param({"control_host": "::1"}, "http://[::1]:8081/welcome/x", id="IPv6"),
        pytest.param(
            {"control_https": True, "control_names": ("guard.example",)},
            "https://guard.example/welcome/x",
            id="behind a TLS proxy",
        ),
    ],
)
def test_a_link_leads_to_the_console(settings: dict[str, object], link: str) -> None:
    assert link_of(Settings(**settings), "x", 8081) == link  # type: ignore[arg-type]
