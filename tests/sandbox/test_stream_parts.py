"""The pure parts of the streams: listen keys on a given clock, doors, names, and keys in the settings."""

from __future__ import annotations

from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from sandbox.binance.errors import VenueError
from sandbox.binance.listen_keys import VALIDITY_MS, KeyState, ListenKeys
from sandbox.binance.stream_names import StreamKind, StreamName, may_be_listen_key, read_stream
from sandbox.settings import Settings, SettingsError, read_settings, with_ed25519
from sandbox.streams.endpoints import StreamDoor, TradingDoor, read_door


def test_a_key_lives_an_hour_and_each_extension_another() -> None:
    keys = ListenKeys()
    key = keys.open("alice", 0)
    assert keys.owner(key, VALIDITY_MS - 1) == "alice"
    assert keys.extend("alice", VALIDITY_MS - 1) == key
    assert keys.owner(key, VALIDITY_MS + 1) == "alice"
    assert keys.owner(key, 3 * VALIDITY_MS) is None
    assert keys.state("alice", key, 3 * VALIDITY_MS) is KeyState.EXPIRED
    with pytest.raises(VenueError, match="-1125"):
        keys.extend("alice", 3 * VALIDITY_MS)
    assert keys.open("alice", 3 * VALIDITY_MS) != key


def test_a_closed_key_is_not_an_expired_one() -> None:
    keys = ListenKeys()
    key = keys.open("alice", 0)
    keys.close("alice")
    keys.close("alice")
    assert keys.state("alice", key, 1) is KeyState.CLOSED
    assert key not in repr(keys.__dict__)


@pytest.mark.parametrize(
    ("path", "query", "door"),
    [
        ("/ws", "", StreamDoor(False, (), ())),
        ("/ws/", "", StreamDoor(False, (), ())),
        ("/public/ws/3", "", StreamDoor(False, (), ())),
        ("/market/ws/a@trade/b@trade", "", StreamDoor(False, ("a@trade", "b@trade"), ())),
        ("/stream", "streams=a@trade/b@trade/a@trade", StreamDoor(True, ("a@trade", "b@trade"), ())),
        ("/private/ws", "listenKey=K", StreamDoor(False, (), (("K", None),))),
        (
            "/private/stream",
            "listenKey=K&events=A/B&listenKey=L",
            StreamDoor(True, (), (("K", frozenset("AB")), ("L", None))),
        ),
        ("/ws-fapi/v1", "", TradingDoor()),
        ("/ws-fapi/v1", "returnRateLimits=false", TradingDoor(rate_limits=False)),
        ("/wsx", "", None),
        ("/ws-fapi/v2", "", None),
        ("/private", "listenKey=K", None),
        ("/ws", "&".join(["a=b"] * 500), None),
    ],
)
def test_doors(path: str, query: str, door: object) -> None:
    assert read_door(path, query) == door


@pytest.mark.parametrize(
    ("name", "meaning"),
    [
        ("btcusdt@depth", StreamName(StreamKind.DEPTH, "BTCUSDT", 250)),
        ("btcusdt@depth20@500ms", StreamName(StreamKind.DEPTH, "BTCUSDT", 500, levels=20)),
        ("btcusdt@kline_1M", StreamName(StreamKind.KLINE, "BTCUSDT", 250, candle="1M")),
        ("btcusdt_perpetual@continuousKline_5m", StreamName(StreamKind.CONTINUOUS_KLINE, "BTCUSDT", 250, candle="5m")),
        ("!markPrice@arr@1s", StreamName(StreamKind.MARK_PRICE, None, 1000, as_list=True)),
        ("!contractInfo", StreamName(StreamKind.CONTRACT, None, 0)),
        ("btcusdt@depth7", None),
        ("btcusdt@depth@50ms", None),
        ("btcusdt_current_quarter@continuousKline_5m", None),
        ("BTCUSDT@trade", None),
        ("btcusdt", None),
        ("@trade", None),
        ("!trade", None),
    ],
)
def test_names(name: str, meaning: StreamName | None) -> None:
    assert read_stream(name) == meaning


def test_what_looks_like_a_listen_key() -> None:
    assert may_be_listen_key("a" * 64)
    assert not may_be_listen_key("btcusdt@ticker")


def pem(key: object) -> str:
    encoded: bytes = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)  # type: ignore[attr-defined]
    return encoded.decode()


def configured(directory: Path, public_key: str, api_key: str = "second") -> Settings:
    text = f"""
[[account]]
name = "alice"
api_key = "first"
api_secret = "secret"
ed25519_api_key = "{api_key}"
ed25519_public_key = '''{public_key}'''
"""
    path = directory / "sandbox.toml"
    path.write_text(text)
    return read_settings(path)


def test_a_second_key_is_read_from_the_file(tmp_path: Path) -> None:
    account = configured(tmp_path, pem(Ed25519PrivateKey.generate())).accounts[0]
    assert account.ed25519 is not None
    assert account.ed25519.api_key == "second"


@pytest.mark.parametrize("wrong", ["nonsense", "other_kind", "same_name", "no_name"])
def test_a_second_key_that_cannot_be_used_stops_the_start(tmp_path: Path, wrong: str) -> None:
    key = pem(Ed25519PrivateKey.generate())
    if wrong == "nonsense":
        key = "-----BEGIN PUBLIC KEY-----"
    elif wrong == "other_kind":
        key = pem(generate_private_key(SECP256R1()))
    with pytest.raises(SettingsError):
        configured(tmp_path, key, {"same_name": "first", "no_name": ""}.get(wrong, "second"))


def test_a_second_key_on_the_command_line_needs_its_account_and_its_file(tmp_path: Path) -> None:
    path = tmp_path / "demo.pem"
    path.write_text(pem(Ed25519PrivateKey.generate()))
    account = with_ed25519(Settings(), f"demo:second:{path}").accounts[0]
    assert account.ed25519 is not None
    for text in (f"nobody:second:{path}", f"demo:second:{path}.not", "demo"):
        with pytest.raises(SettingsError, match="--ed25519"):
            with_ed25519(Settings(), text)
