"""Tokens that the guard makes: for its user alone, the same ever after, and no one of them the other."""

from __future__ import annotations

import stat
from pathlib import Path

from pydantic import SecretStr

from proxy.control_token import control_token, metrics_token, token_path
from proxy.settings import Settings, load_settings


def test_the_metrics_token_is_made_once_and_for_the_guards_user_alone(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path)
    made = metrics_token(settings)
    assert stat.S_IMODE((tmp_path / "metrics.token").stat().st_mode) == 0o600
    assert len(made.get_secret_value()) >= 32
    assert metrics_token(settings) == made


def test_it_is_not_the_control_token_even_where_that_is_given(tmp_path: Path) -> None:
    given = Settings(data_dir=tmp_path, control_token=SecretStr("given by the environment"))
    assert metrics_token(given) != control_token(given)
    assert not token_path(given).exists()
    made = Settings(data_dir=tmp_path)
    assert metrics_token(made) != control_token(made)


def test_a_file_of_ones_own_is_read_beside_the_settings(tmp_path: Path) -> None:
    (tmp_path / "scrape").write_text("0123456789abcdef0123456789abcdef\n")
    (tmp_path / "guard.toml").write_text('metrics_token_file = "scrape"\ndata_dir = "data"\n')
    settings = load_settings(tmp_path / "guard.toml", {})
    assert metrics_token(settings).get_secret_value() == "0123456789abcdef0123456789abcdef"
    assert not (tmp_path / "data").exists()
