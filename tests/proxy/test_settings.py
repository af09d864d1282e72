"""Where things are. Wrong settings fail at start, and no secret is ever in a message."""

import os
import re
from datetime import UTC, datetime
from pathlib import Path

import pytest

from proxy.settings import (
    BINANCE_HOSTS,
    BINANCE_STREAM_HOSTS,
    TOKEN_LENGTH_MIN,
    Settings,
    SettingsError,
    load_settings,
    unknown_variables,
)
from proxy.severity import Severity
from proxy.store.client import HOT_TIMEOUT_S

SECRET = "correct horse battery staple"


@pytest.fixture(autouse=True)
def no_environment(monkeypatch):
    for name in [name for name in os.environ if name.startswith("PERPGUARD_")]:
        monkeypatch.delenv(name)


@pytest.fixture
def config(tmp_path):
    def write(text):
        path = tmp_path / "perpguard.toml"
        path.write_text(text)
        return path

    return write


def refused(config, overrides=None):
    with pytest.raises(SettingsError) as error:
        load_settings(config, overrides or {})
    return str(error.value)


def test_everything_has_a_default_that_listens_on_loopback_only():
    settings = load_settings(None, {})
    assert (settings.gate_host, settings.control_host) == ("127.0.0.1", "127.0.0.1")
    assert (settings.passphrase, settings.control_token) == (None, None)


def test_the_environment_wins_over_the_file_and_the_command_line_over_both(config, monkeypatch):
    path = config('desk = "file"\ngate_port = 1000\ncontrol_port = 1000\n')
    monkeypatch.setenv("PERPGUARD_GATE_PORT", "2000")
    monkeypatch.setenv("PERPGUARD_CONTROL_PORT", "2000")
    settings = load_settings(path, {"control_port": 3000, "desk": None})
    assert (settings.desk, settings.gate_port, settings.control_port) == ("file", 2000, 3000)


def test_paths_in_a_file_are_relative_to_the_file(config, tmp_path):
    settings = load_settings(config('data_dir = "data"\npolicy = "p.toml"\npassphrase_file = "pass"\n'), {})
    assert settings.data_dir == tmp_path / "data"
    assert settings.policy == tmp_path / "p.toml"
    assert settings.passphrase_file == tmp_path / "pass"


def test_an_absolute_path_in_a_file_stays(config):
    assert load_settings(config('data_dir = "/var/lib/perpguard"\n'), {}).data_dir == Path("/var/lib/perpguard")


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("gate_prot = 1\n", "gate_prot"),
        ('[venues.binanceusdm]\nurll = "x"\n', "venues.binanceusdm.urll"),
        ("gate_port = 70000\n", "gate_port"),
        ("gate_port = -1\n", "gate_port"),
        ("gate_workers = 0\n", "gate_workers"),
        ('gate_workers = "many"\n', "gate_workers"),
        ('desk = "a b"\n', "desk"),
        ('desk = "{x}"\n', "desk"),
        (f'desk = "{"d" * 33}"\n', "desk"),
        ("survey_every_s = 0\n", "survey_every_s"),
        ("survey_every_s = 301\n", "survey_every_s"),
        ("markets_every_s = nan\n", "markets_every_s"),
        ("store_timeout_s = 0\n", "store_timeout_s"),
        ("store_timeout_s = 1.5\n", "store_timeout_s"),
    ],
)
def test_what_is_wrong_is_named(config, text, key):
    assert key in refused(config(text))


def test_an_entry_waits_for_the_store_as_long_as_is_documented():
    assert load_settings(None, {}).store_timeout_s == HOT_TIMEOUT_S


@pytest.mark.parametrize("text", ["not toml", "desk ="])
def test_a_file_that_is_no_toml_is_named(config, text):
    assert "perpguard.toml" in refused(config(text))


def test_a_file_that_is_not_there_is_named(tmp_path):
    assert "nowhere.toml" in refused(tmp_path / "nowhere.toml")


@pytest.mark.parametrize("key", ["passphrase", "control_token"])
def test_a_secret_in_the_file_is_refused_and_not_repeated(config, key):
    reason = refused(config(f'{key} = "{SECRET}"\n'))
    assert "secrets do not belong in a file" in reason
    assert SECRET not in reason


@pytest.mark.parametrize("name", ["PERPGUARD_PASSPHRASE", "PERPGUARD_CONTROL_TOKEN"])
def test_a_secret_of_the_environment_is_in_no_repr(monkeypatch, name):
    monkeypatch.setenv(name, SECRET)
    settings = load_settings(None, {})
    for shown in (repr(settings), str(settings), settings.model_dump_json(), str(settings.model_dump())):
        assert SECRET not in shown
    secrets = [each for each in (settings.passphrase, settings.control_token) if each is not None]
    assert [secret.get_secret_value() for secret in secrets] == [SECRET]


@pytest.mark.parametrize("name", ["PERPGUARD_GATE_PORT", "PERPGUARD_DESK", "PERPGUARD_SURVEY_EVERY_S"])
def test_a_secret_put_in_the_wrong_place_is_not_repeated(monkeypatch, name):
    monkeypatch.setenv(name, SECRET)
    monkeypatch.setenv("PERPGUARD_PASSPHRASE", SECRET)
    reason = refused(None)
    assert name.removeprefix("PERPGUARD_").lower() in reason
    assert SECRET not in reason


def test_a_venue_that_is_no_json_is_not_repeated_either(monkeypatch):
    monkeypatch.setenv("PERPGUARD_VENUES", SECRET)
    assert SECRET not in refused(None)


def test_a_dotenv_file_is_not_read(monkeypatch, tmp_path):
    (tmp_path / ".env").write_text("PERPGUARD_DESK=from-dotenv\n")
    monkeypatch.chdir(tmp_path)
    assert load_settings(None, {}).desk == "desk"


def test_settings_do_not_change_afterwards():
    with pytest.raises(ValueError, match="frozen"):
        load_settings(None, {}).desk = "other"


def test_the_store_is_the_embedded_one_unless_a_url_is_given(tmp_path):
    assert load_settings(None, {"data_dir": tmp_path}).store.startswith("unix://")
    assert load_settings(None, {"store_url": "redis://r:6379"}).store == "redis://r:6379"


@pytest.mark.parametrize("url", ["localhost:6379", "http://s:6379", "redis://", "redis://:hunter2@s:port/0", "unix://"])
def test_an_address_of_no_store_is_refused_by_its_name_and_not_repeated(config, url):
    reason = refused(config(f'store_url = "{url}"\n'))
    assert reason.startswith("store_url: ") and "redis://HOST:PORT" in reason
    assert "hunter2" not in reason


@pytest.mark.parametrize("url", ["redis://s", "redis://:pw@s:6379/0", "rediss://[::1]:6379", "unix:///run/s.sock?db=1"])
def test_an_address_of_a_store_may_come_from_a_file(config, monkeypatch, tmp_path, url):
    (tmp_path / "store-url").write_text(f"{url}\n")
    assert load_settings(config('store_url_file = "store-url"\n'), {}).store_url == url
    monkeypatch.setenv("PERPGUARD_STORE_URL_FILE", str(tmp_path / "store-url"))
    assert load_settings(None, {}).store == url
    monkeypatch.setenv("PERPGUARD_STORE_URL", "")
    assert load_settings(None, {}).store == url, "an empty variable is none"
    monkeypatch.setenv("PERPGUARD_STORE_URL", "redis://other")
    assert load_settings(None, {}).store == "redis://other"


def test_a_file_without_the_address_of_a_store_is_refused(config, tmp_path):
    assert "store_url_file: " in refused(config('store_url_file = "nowhere"\n'))
    (tmp_path / "hunter2").write_text("hunter2")
    reason = refused(config(f'store_url_file = "{tmp_path / "hunter2"}"\n'))
    assert reason.startswith("store_url_file: ") and "hunter2" not in reason


def test_a_venue_s_url_replaces_every_host_of_it(config, monkeypatch):
    monkeypatch.setenv("PERPGUARD_VENUES__BINANCEUSDM__URL", "http://127.0.0.1:9000/")
    settings = load_settings(None, {})
    assert set(settings.hosts("binanceusdm").values()) == {"http://127.0.0.1:9000"}
    assert set(settings.stream_hosts("binanceusdm").values()) == {"ws://127.0.0.1:9000"}
    monkeypatch.setenv("PERPGUARD_VENUES__BINANCEUSDM__URL", "https://exchange.example/practice")
    assert load_settings(None, {}).stream_hosts("binanceusdm")["fstream"] == "wss://exchange.example/practice"
    assert load_settings(config("[venues.binanceusdm]\n"), {}).venue_urls  # The environment still wins.


def test_without_a_url_a_venue_is_the_real_one():
    assert Settings().hosts("binanceusdm") == BINANCE_HOSTS
    assert all(url.startswith("https://") for url in BINANCE_HOSTS.values())
    assert Settings().stream_hosts("binanceusdm") == BINANCE_STREAM_HOSTS
    assert all(url.startswith("wss://") for url in BINANCE_STREAM_HOSTS.values())


@pytest.mark.parametrize(
    ("url", "streams"),
    [
        (None, "wss://fstream.binance.com"),
        ("http://127.0.0.1:9090/", "ws://127.0.0.1:9090"),
        ("https://testnet.example/x", "wss://testnet.example/x"),
    ],
)
def test_streams_come_from_the_host_that_is_traded_on(config, url, streams):
    settings = load_settings(config("" if url is None else f'[venues.binanceusdm]\nurl = "{url}"'), {})
    assert set(settings.stream_hosts("binanceusdm").values()) == {streams}


def test_an_account_may_have_source_addresses_and_its_kill_prefers_its_own(config):
    settings = load_settings(
        config('[accounts.main]\negress = "192.0.2.10"\nkill_egress = "192.0.2.11"\n[accounts.b]\negress = "::1"\n'), {}
    )
    assert settings.egress == {"main": "192.0.2.10", "b": "::1"}
    assert settings.kill_addresses("main") == ("192.0.2.11", "192.0.2.10")
    assert settings.kill_addresses("b") == ("::1",)
    assert settings.kill_addresses("another") == ("",)


def test_a_source_address_is_an_address(config):
    assert "accounts.main.egress" in refused(config('[accounts.main]\negress = "eth1"\n'))
    assert "accounts.main.adress" in refused(config('[accounts.main]\nadress = "192.0.2.10"\n'))


def test_quiet_hours_have_both_ends_and_a_time_zone_that_exists(config):
    text = '[alerts]\nquiet_from = "22:00"\nquiet_until = "07:00"\ntime_zone = "UTC"\n'
    quiet = load_settings(config(text), {}).alerts.quiet
    assert quiet is not None and quiet.covers(datetime(2026, 11, 27, 23, tzinfo=UTC))
    assert Settings().alerts.quiet is None
    assert "quiet_from and quiet_until" in refused(config('[alerts]\nquiet_from = "22:00"\n'))
    assert "say which hours" in refused(config('[alerts]\nquiet_from = "22:00"\nquiet_until = "22:00"\n'))
    assert "no time zone" in refused(config('[alerts]\ntime_zone = "Mars/Base"\n'))


@pytest.mark.parametrize("key", ["quiet_from", "quiet_until"])
@pytest.mark.parametrize("hour", ["22:00Z", "22:00+02:00"])
def test_quiet_hours_know_one_time_zone_only(config, key, hour):
    hours = {"quiet_from": "21:00", "quiet_until": "07:00", key: hour}
    text = "[alerts]\n" + "".join(f'{name} = "{value}"\n' for name, value in hours.items())
    reason = refused(config(text))
    assert f"alerts.{key}: " in reason
    assert "write what the clock of time_zone shows" in reason


def test_a_channel_says_how_loud_it_is(config):
    channels = load_settings(config('[alerts.channels.pager]\nminimum = "critical"\n'), {}).alerts.channels
    assert channels["pager"].minimum is Severity.CRITICAL and channels["pager"].quiet_hours
    assert "alerts.channels.pager.minimum" in refused(config('[alerts.channels.pager]\nminimum = "loud"\n'))
    assert "alerts.channels.pager.url" in refused(config('[alerts.channels.pager]\nurl = "json://x"\n'))


def test_links_in_messages_lead_where_browsers_find_the_console(config):
    assert Settings().console_link == "http://127.0.0.1:8081"
    assert (
        load_settings(config('control_host = "::1"\ncontrol_https = true\n'), {}).console_link == "https://[::1]:8081"
    )
    assert load_settings(config('[alerts]\nlink = "https://guard.lan"\n'), {}).console_link == "https://guard.lan"
    everywhere = 'control_host = "0.0.0.0"\ncontrol_names = ["guard.lan"]\n'
    assert load_settings(config(everywhere), {}).console_link == "http://127.0.0.1:8081"
    assert load_settings(config(everywhere + "control_https = true\n"), {}).console_link == "https://guard.lan"
    assert "alerts.link" in refused(config('[alerts]\nlink = "javascript:x"\n'))


def test_a_control_token_that_can_be_guessed_is_refused_and_not_repeated(monkeypatch):
    monkeypatch.setenv("PERPGUARD_CONTROL_TOKEN", "hunter2")
    reason = refused(None)
    assert reason.startswith("control_token: ") and "16 characters" in reason and "hunter2" not in reason
    monkeypatch.setenv("PERPGUARD_CONTROL_TOKEN", "x" * TOKEN_LENGTH_MIN)
    assert load_settings(None, {}).control_token is not None
    monkeypatch.setenv("PERPGUARD_CONTROL_TOKEN", "")
    assert load_settings(None, {}).control_token is None, "an empty variable is none"


@pytest.mark.parametrize("url", ["mysql://u:hunter2@db/x", "sqlite:///hunter2", "hunter2"])
def test_an_archive_that_is_no_postgresql_database_is_refused_and_not_repeated(monkeypatch, url):
    monkeypatch.setenv("PERPGUARD_AUDIT_URL", url)
    reason = refused(None)
    assert reason.startswith("audit_url: ") and "postgresql://" in reason and "hunter2" not in reason


@pytest.mark.parametrize("url", ["", "postgres://db/x", "postgresql://u:p@db:5432/x?a=b", "postgresql+psycopg:///x"])
def test_an_archive_may_be_a_postgresql_database(monkeypatch, url):
    monkeypatch.setenv("PERPGUARD_AUDIT_URL", url)
    assert load_settings(None, {}).audit_url is not None


@pytest.mark.parametrize("url", ["ftp://x", "x", "http://", "http://x:port", "http://x y"])
def test_a_venue_is_where_a_client_can_ask(config, url):
    assert "venues.binanceusdm.url: " in refused(config(f'[venues.binanceusdm]\nurl = "{url}"\n'))
    assert "venues.binanceusdm.other_urls: " in refused(config(f'[venues.binanceusdm]\nother_urls = ["{url}"]\n'))


def test_every_variable_that_is_read_is_known():
    proxy = Path(__file__).parents[2] / "proxy"
    names = {
        name
        for path in proxy.rglob("*.py")
        for name in re.findall(r'"(PERPGUARD_[A-Z_]*[A-Z])"', path.read_text(encoding="utf-8"))
    }
    assert {"PERPGUARD_CONFIG", "PERPGUARD_PASSPHRASE", "PERPGUARD_SUPERVISED", "PERPGUARD_API_KEY"} <= names
    assert unknown_variables(names) == []


def test_a_variable_that_nothing_reads_is_known_as_such():
    names = ["PERPGUARD_NOSUCH", "perpguard_gate_prot", "PERPGUARD_VENUES__BINANCEUSDM__URL", "perpguard_desk", "HOME"]
    assert unknown_variables(names) == ["PERPGUARD_NOSUCH", "perpguard_gate_prot"]
