"""Where the passphrase may come from, in which order, and which sources are refused."""

from pathlib import Path

import pytest

from proxy.vault.errors import PassphraseMissing, PassphraseRefused
from proxy.vault.passphrase import read_passphrase


def _private(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    path.chmod(0o600)
    return path


def test_the_environment_comes_first_then_the_named_file_then_the_given_one_then_the_prompt(tmp_path: Path):
    named, given = _private(tmp_path / "named", b"from named\n"), _private(tmp_path / "given", b"from given")
    environment = {"PERPGUARD_PASSPHRASE": "from env", "PERPGUARD_PASSPHRASE_FILE": str(named)}
    sources = []
    for leave_out in (None, "PERPGUARD_PASSPHRASE", "PERPGUARD_PASSPHRASE_FILE"):
        environment.pop(leave_out or "", None)
        sources.append(read_passphrase(environment=environment, file=given, prompt=lambda _: "typed").reveal())
    sources.append(read_passphrase(environment={}, file=None, prompt=lambda _: "typed").reveal())
    assert sources == ["from env", "from named", "from given", "typed"]


@pytest.mark.parametrize(
    ("content", "expected"), [(b"a b", "a b"), (b"a b\n", "a b"), (b"a b\r\n", "a b"), (b" a\n\n", " a\n")]
)
def test_exactly_one_line_end_is_dropped(tmp_path: Path, content: bytes, expected: str):
    file = _private(tmp_path / "file", content)
    assert read_passphrase(environment={}, file=file, prompt=None).reveal() == expected


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o644])
def test_a_file_others_can_read_is_refused(tmp_path: Path, mode: int):
    file = _private(tmp_path / "file", b"canary-passphrase")
    file.chmod(mode)
    with pytest.raises(PassphraseRefused, match="other users") as refusal:
        read_passphrase(environment={}, file=file, prompt=lambda _: "typed")
    assert "canary" not in str(refusal.value)


def test_a_named_file_that_is_not_there_is_not_passed_over(tmp_path: Path):
    with pytest.raises(PassphraseRefused, match="No such file"):
        read_passphrase(environment={}, file=tmp_path / "absent", prompt=lambda _: "typed")


def test_a_folder_is_named_as_one(tmp_path: Path):
    with pytest.raises(PassphraseRefused, match=f"{tmp_path} is a folder"):
        read_passphrase(environment={"PERPGUARD_PASSPHRASE_FILE": str(tmp_path)}, file=None, prompt=None)


@pytest.mark.parametrize("answer", ["", None])
def test_nothing_anywhere_says_where_to_put_it(answer: str | None):
    prompt = None if answer is None else (lambda _: "")
    with pytest.raises(PassphraseMissing, match="PERPGUARD_PASSPHRASE_FILE"):
        read_passphrase(environment={"PERPGUARD_PASSPHRASE": ""}, file=None, prompt=prompt)


def test_an_empty_file_is_no_passphrase(tmp_path: Path):
    with pytest.raises(PassphraseMissing):
        read_passphrase(environment={}, file=_private(tmp_path / "file", b"\n"), prompt=None)


def test_bytes_that_are_not_utf_8_are_refused_without_being_shown(tmp_path: Path):
    file = _private(tmp_path / "file", b"canary\xff")
    for sources in (
        {"environment": {}, "file": file},
        {"environment": {"PERPGUARD_PASSPHRASE": "canary\udcff"}, "file": None},
    ):
        with pytest.raises(PassphraseRefused, match="UTF-8") as refusal:
            read_passphrase(**sources, prompt=None)
        assert "canary" not in str(refusal.value)


def test_an_endless_file_is_refused(tmp_path: Path):
    with pytest.raises(PassphraseRefused, match="longer"):
        read_passphrase(environment={}, file=_private(tmp_path / "file", b"x" * 5000), prompt=None)
