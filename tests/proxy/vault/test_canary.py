"""Known secrets go through every operation; afterwards they are looked for everywhere they could have leaked."""

import base64
import io
import logging
import traceback
import urllib.parse
from argparse import Namespace
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from types import TracebackType

import msgspec
import pytest

from proxy.commands.keys import Terminal, run
from proxy.vault import contents as contents_module
from proxy.vault.contents import decode
from proxy.vault.keys import Secret
from proxy.vault.passphrase import read_passphrase
from proxy.vault.sealing import Sealer
from proxy.vault.vault import Vault

API_SECRET = "CANARYexchange/secret+0123456789abcdefghij"
PASSPHRASE = "CANARY passphrase/0123456789"
WRONG = "CANARY wrong/passphrase+987"
OURS = str(Path(contents_module.__file__).parent)


def _spellings(secret: str) -> Iterator[str]:
    yield secret
    yield secret[: len(secret) // 2]
    yield secret[len(secret) // 2 :]
    yield secret.encode().hex()
    yield urllib.parse.quote(secret, safe="")
    # Base64 of the middle, in each of the three alignments a longer text can give it.
    for shift in range(3):
        yield base64.b64encode(secret.encode()[shift:]).decode().rstrip("=")[:-2]


def _leaks(text: str, *secrets: str) -> list[str]:
    return [secret[:8] for secret in secrets for spelling in _spellings(secret) if spelling in text]


def _everything_an_error_reporter_would_send(trouble: BaseException) -> str:
    """Messages, arguments, attributes, causes; and, from our own frames only, the locals (as Sentry or rich show)."""
    text, pending, seen = [], [trouble], set()
    while pending:
        each = pending.pop()
        if id(each) in seen:
            continue
        seen.add(id(each))
        text += ["".join(traceback.format_exception(each)), repr(each.args), repr(vars(each))]
        text += [repr(getattr(each, name, None)) for name in ("object", "doc", "filename", "strerror")]
        text += _locals_of_our_frames(each.__traceback__)
        pending += [cause for cause in (each.__cause__, each.__context__) if cause is not None]
    return "\n".join(text)


def _locals_of_our_frames(step: TracebackType | None) -> Iterator[str]:
    while step is not None:
        if step.tb_frame.f_code.co_filename.startswith(OURS):
            yield repr(step.tb_frame.f_locals)
        step = step.tb_next


@pytest.fixture
def opened(path: Path, now: datetime) -> Vault:
    vault = Vault.create(path, Secret(PASSPHRASE), work_factor=2**14)
    vault.add_exchange_key(account="main", venue="binance", api_key="k" * 64, api_secret=Secret(API_SECRET), now=now)
    return vault


def test_no_value_shows_a_secret(opened: Vault, path: Path, now: datetime, caplog: pytest.LogCaptureFixture):
    caplog.set_level(logging.DEBUG)
    issued = opened.issue(bot="grid", account="main", label="x", now=now)
    rotated = opened.rotate(issued.key, now)
    opened.disable(rotated.key, now)
    opened.enable(rotated.key, now)
    opened.change_passphrase(Secret(PASSPHRASE))
    opened.reload_if_changed()
    values = [opened, opened._contents, opened._sealer, opened._file, *opened.accounts(), *opened.guard_keys()]
    shown = "".join(f"{value!r}{value!s}{value}" for value in values)
    logging.getLogger("x").info("%s %r", values, values)
    secrets = [API_SECRET, PASSPHRASE, issued.secret.reveal(), rotated.secret.reveal()]
    assert _leaks(shown + caplog.text, *secrets) == []
    for file in path.parent.iterdir():
        raw = file.read_bytes()
        assert _leaks(raw.decode("latin-1"), *secrets, issued.key, "k" * 64, "binance") == []


OPERATIONS: dict[str, Callable[[Vault, Path, datetime], object]] = {
    "create over": lambda vault, path, now: Vault.create(path, Secret(PASSPHRASE), work_factor=2**14),
    "create short": lambda vault, path, now: Vault.create(path.with_name("b"), Secret(PASSPHRASE[:11])),
    "create costly": lambda vault, path, now: Vault.create(path.with_name("b"), Secret(PASSPHRASE), work_factor=3),
    "create nowhere": lambda vault, path, now: Vault.create(path / "b", Secret(PASSPHRASE), work_factor=2**14),
    "open wrong": lambda vault, path, now: Vault.open(path, Secret(WRONG)),
    "open missing": lambda vault, path, now: Vault.open(path.with_name("b"), Secret(WRONG)),
    "add again": lambda vault, path, now: _add(vault, "main", API_SECRET, now),
    "add bad name": lambda vault, path, now: _add(vault, "a b", API_SECRET, now),
    "add bad secret": lambda vault, path, now: _add(vault, "b", API_SECRET + "\n", now),
    "add naive time": lambda vault, path, now: _add(vault, "b", API_SECRET, now.replace(tzinfo=None)),
    "issue unknown": lambda vault, path, now: vault.issue(bot="b", account="b", label="x", now=now),
    "disable unknown": lambda vault, path, now: vault.disable("b", now),
    "enable unknown": lambda vault, path, now: vault.enable("b", now),
    "rotate unknown": lambda vault, path, now: vault.rotate("b", now),
    "exchange key unknown": lambda vault, path, now: vault.exchange_key("b"),
    "change passphrase": lambda vault, path, now: vault.change_passphrase(Secret(PASSPHRASE[:11])),
    "reload cut": lambda vault, path, now: (path.write_bytes(path.read_bytes()[:-9]), vault.reload_if_changed()),
    "reload missing": lambda vault, path, now: (path.unlink(), vault.reload_if_changed()),
    "issue on cut": lambda vault, path, now: (
        path.write_bytes(path.read_bytes()[:-9]),
        vault.issue(bot="b", account="main", label="x", now=now),
    ),
    "open other plaintext": lambda vault, path, now: (
        _seal_nonsense(vault, path),
        Vault.open(path, Secret(PASSPHRASE)),
    ),
    "reload other plaintext": lambda vault, path, now: (_seal_nonsense(vault, path), vault.reload_if_changed()),
    "issue without disk": lambda vault, path, now: (
        path.with_name("vault.json.next").mkdir(),
        vault.issue(bot="b", account="main", label="x", now=now),
    ),
}


def _add(vault: Vault, account: str, api_secret: str, now: datetime) -> None:
    vault.add_exchange_key(account=account, venue="v", api_key="k", api_secret=Secret(api_secret), now=now)


def _seal_nonsense(vault: Vault, path: Path) -> None:
    path.write_bytes(vault._sealer.seal(msgspec.json.encode({"revision": API_SECRET, "secret": API_SECRET})))


@pytest.mark.parametrize("name", OPERATIONS)
def test_no_failure_shows_a_secret(opened: Vault, path: Path, now: datetime, name: str):
    issued = opened.issue(bot="grid", account="main", label="x", now=now)
    with pytest.raises(Exception) as failure:
        OPERATIONS[name](opened, path, now)
    # This file's own frames are skipped: they hold the canaries by design. Source lines name constants, not values.
    report = _everything_an_error_reporter_would_send(failure.value)
    assert _leaks(report, API_SECRET, PASSPHRASE, PASSPHRASE[:11], WRONG, issued.secret.reveal()) == []


def test_an_unreadable_plaintext_is_answered_without_an_exception():
    assert decode(b'{"revision":"' + API_SECRET.encode()) is None


@pytest.mark.parametrize("raw", [PASSPHRASE.encode() + b"\xff", PASSPHRASE.encode() * 300])
def test_a_refused_passphrase_file_is_not_quoted(tmp_path: Path, raw: bytes):
    file = tmp_path / "file"
    file.write_bytes(raw)
    file.chmod(0o600)
    with pytest.raises(Exception) as failure:
        read_passphrase(environment={}, file=file, prompt=None)
    assert _leaks(_everything_an_error_reporter_would_send(failure.value), PASSPHRASE) == []


@pytest.mark.parametrize("secret", [API_SECRET.encode() + b"\xff", b"\n", API_SECRET.encode() + b"\0x"])
def test_a_refused_pipe_is_not_quoted(opened: Vault, path: Path, now: datetime, secret: bytes):
    terminal = Terminal(
        environment={"PERPGUARD_PASSPHRASE": PASSPHRASE},
        stdin=io.TextIOWrapper(io.BytesIO(secret), encoding="utf-8"),
        stdout=io.StringIO(),
        stderr=io.StringIO(),
        prompt=None,
        now=lambda: now,
    )
    args = Namespace(
        keys_command="add-exchange",
        data_dir=path.parent.parent,
        account="second",
        venue="binance",
        api_key="k",
        passphrase_file=None,
    )
    assert run(args, terminal) == 2
    assert isinstance(terminal.stdout, io.StringIO) and isinstance(terminal.stderr, io.StringIO)
    shown = terminal.stdout.getvalue() + terminal.stderr.getvalue() + repr(terminal)
    assert "api_secret must be" in shown and _leaks(shown, API_SECRET, PASSPHRASE) == []


def test_the_search_itself_finds_leaks():
    sealer = Sealer(Secret(PASSPHRASE), salt=bytes(16), work_factor=2**14)
    assert _leaks(f"{sealer!r}{API_SECRET}", API_SECRET)
    assert _leaks(base64.b64encode(b"xy" + API_SECRET.encode()).decode(), API_SECRET)
