"""``perpguard alerts channels``: a URL comes in by environment, pipe or prompt, and never goes out again."""

from __future__ import annotations

import io
import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from proxy.cli import _parser
from proxy.commands.alerts import URL_VARIABLE, run
from proxy.commands.arguments import Arguments
from proxy.commands.keys import Terminal
from proxy.vault.channels import CHANNELS_MAX
from proxy.vault.errors import ChannelExists, InvalidField, TooManyChannels, UnknownChannel
from proxy.vault.keys import Secret
from proxy.vault.vault import Vault

PASSPHRASE, NOW = "correct horse battery", datetime(2026, 11, 27, tzinfo=UTC)
URL = "json://127.0.0.1:9/token-secret"


@pytest.fixture
def vault(tmp_path: Path) -> Vault:
    (tmp_path / "vault").mkdir(mode=0o700)
    return Vault.create(tmp_path / "vault" / "vault.json", Secret(PASSPHRASE), work_factor=2**14)


def alerts(data_dir: Path, *words: str, stdin: str = "", **environment: str) -> str:
    """What the command printed, on both."""
    out, err = io.StringIO(), io.StringIO()
    terminal = Terminal(
        environment={"PERPGUARD_PASSPHRASE": PASSPHRASE, **environment},
        stdin=io.StringIO(stdin),
        stdout=out,
        stderr=err,
        prompt=None,
        now=lambda: NOW,
    )
    args = _parser().parse_args(["--data-dir", str(data_dir), "alerts", *words], namespace=Arguments())
    assert run(args, terminal) == 0
    return out.getvalue() + err.getvalue()


def test_a_channel_is_added_listed_and_removed(tmp_path: Path, vault: Vault) -> None:
    assert "there is no channel: nobody is told; perpguard alerts channels add" in alerts(tmp_path, "channels", "list")
    said = alerts(tmp_path, "channels", "add", "pager", stdin=URL + "\n")
    said += alerts(
        tmp_path, "channels", "add", "chat", **{URL_VARIABLE: "slack://AAAAAAAAA/BBBBBBBBB/cccccccccccccccccccccccc"}
    )
    listed = alerts(tmp_path, "channels", "list", "--json")
    assert [(row["channel"], row["kind"]) for row in json.loads(listed)] == [("pager", "json"), ("chat", "slack")]
    vault.reload_if_changed()
    assert vault.alert_channels()[0].url.reveal() == URL and vault.alert_secret is not None
    assert "secret" not in said + listed + repr(vault.alert_channels()) and "cccc" not in said + listed
    assert "token-secret" not in (tmp_path / "vault" / "vault.json").read_text()
    alerts(tmp_path, "channels", "remove", "pager")
    assert [row["channel"] for row in json.loads(alerts(tmp_path, "channels", "list", "--json"))] == ["chat"]


@pytest.mark.parametrize("url", ["", "nonsense", "syslog://", "json://a b/c"], ids=["none", "words", "screen", "blank"])
def test_what_is_no_channel_is_not_kept(tmp_path: Path, vault: Vault, url: str) -> None:
    with pytest.raises(InvalidField, match="url must be"):
        alerts(tmp_path, "channels", "add", "pager", stdin=url)
    vault.reload_if_changed()
    assert vault.alert_channels() == ()


def test_a_name_is_taken_once_and_there_is_a_most(vault: Vault) -> None:
    vault.add_alert_channel(name="c0", url=Secret(URL), now=NOW)
    secret = vault.alert_secret
    with pytest.raises(ChannelExists):
        vault.add_alert_channel(name="c0", url=Secret(URL), now=NOW)
    for number in range(1, CHANNELS_MAX):
        vault.add_alert_channel(name=f"c{number}", url=Secret(URL), now=NOW)
    with pytest.raises(TooManyChannels):
        vault.add_alert_channel(name="more", url=Secret(URL), now=NOW)
    with pytest.raises(UnknownChannel):
        vault.remove_alert_channel("more")
    assert vault.alert_secret == secret, "links that were sent stay good"
