"""Which policy is read at start."""

from __future__ import annotations

from pathlib import Path

from proxy.policy.shelf import Shelf, policy_path
from proxy.settings import Settings


def test_what_was_in_force_here_last_comes_before_the_settings_file(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path, policy=tmp_path / "mine.toml")
    assert policy_path(settings) == settings.policy
    shelf = Shelf(tmp_path)
    shelf.activate("")
    assert policy_path(settings) == shelf.active_path
