"""``perpguard certificate``: what a person without the guard's machine can check, and what its keeper can."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from proxy.cli import main
from tests.support.certificates import (
    JOB,
    PASSPHRASE,
    a_certificate,
    a_degraded_kill,
    a_flat_kill,
    a_keeper,
    a_vault,
    after,
    write_job,
)

Run = Callable[..., tuple[int, str, str]]
OTHER = "20261125T093000000000-ffffffff"


@pytest.fixture
def guard(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A data directory, and an empty folder to work in from."""
    for name in ("PERPGUARD_CONFIG", "PERPGUARD_DATA_DIR", "PERPGUARD_PASSPHRASE_FILE"):
        monkeypatch.delenv(name, raising=False)
    elsewhere = tmp_path / "auditor"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    return tmp_path / "guard"


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    def certificate(*words: str | Path, data_dir: Path | None = None) -> tuple[int, str, str]:
        where = ["--data-dir", str(data_dir)] if data_dir is not None else []
        code = main([*where, "certificate", *map(str, words)])
        return code, *capsys.readouterr()

    return certificate


def handed_over(guard: Path, *ids: str) -> tuple[Path, Path]:
    """The files and the public key, as an auditor would get them: nothing else is there."""
    for each in ids:
        Path(f"{each}.json").write_bytes((guard / "certificates" / f"{each}.json").read_bytes())
    Path("guard.pem").write_bytes((guard / "certificates" / "public.pem").read_bytes())
    return Path(f"{ids[0]}.json"), Path("guard.pem")


def test_an_auditor_needs_the_file_and_the_key_alone(guard: Path) -> None:
    a_certificate(guard)
    file, key = handed_over(guard, JOB)
    command = [sys.executable, "-m", "proxy", "certificate", "verify", str(file.absolute())]
    root = Path(__file__).parents[3]
    done = subprocess.run(
        [*command, "--public-key", str(key.absolute())],
        env={"PATH": "", "PYTHONPATH": str(root), "HOME": "/nonexistent"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "VERIFIED" in done.stdout and "FLAT: account main showed nothing in 3 readings" in done.stdout
    assert [path.name for path in Path.cwd().iterdir() if path.name not in (file.name, key.name)] == []


def test_a_changed_file_is_not_verified_and_the_exit_says_so(guard: Path, run: Run) -> None:
    content = a_certificate(guard)
    file, key = handed_over(guard, JOB)
    file.write_bytes(content.replace(b'"by":"ann"', b'"by":"eve"', 1))
    code, stdout, _ = run("verify", file, "--public-key", key)
    assert code == 1 and "NOT VERIFIED: the signature does not fit" in stdout
    code, stdout, _ = run("verify", file, "--public-key", key, "--json")
    answer = json.loads(stdout)
    assert code == 1 and (answer["verified"], answer["genuine"]) == (False, False)


def test_degraded_is_genuine_and_says_not_flat(guard: Path, run: Run) -> None:
    a_certificate(guard, a_degraded_kill())
    file, key = handed_over(guard, JOB)
    code, stdout, _ = run("verify", file, "--public-key", key)
    assert code == 0 and "NOT FLAT: the kill of account main ended DEGRADED" in stdout
    assert "left: position BTCUSDT/BOTH 0.250" in stdout
    assert run("verify", file, "--public-key", key, "--require-flat")[0] == 1
    answer = json.loads(run("verify", file, "--public-key", key, "--json")[1])
    assert (answer["verified"], answer["flat"], answer["proves_flat"], answer["phase"]) == (
        True,
        False,
        False,
        "DEGRADED",
    )


def test_it_says_of_which_kill_it_is(guard: Path, run: Run) -> None:
    a_certificate(guard)
    file, key = handed_over(guard, JOB)
    stdout = run("verify", file, "--public-key", key)[1]
    assert f"{JOB}: pressed by ann at 2026-11-24T09:30:00.000000Z: runaway grid" in stdout
    answer = json.loads(run("verify", file, "--public-key", key, "--json")[1])
    assert (answer["id"], answer["pressed_at"]) == (JOB, "2026-11-24T09:30:00.000000Z")


@pytest.mark.parametrize("name", [f"{OTHER}.json", f"{OTHER} (1).json", f"tuesday-{OTHER}.json", f"{JOB}-press.json"])
def test_a_genuine_certificate_under_the_name_of_another_is_refused(guard: Path, run: Run, name: str) -> None:
    content = a_certificate(guard)
    _, key = handed_over(guard, JOB)
    Path(name).write_bytes(content)
    code, stdout, _ = run("verify", name, "--public-key", key)
    assert code == 1 and stdout.startswith(f"NOT VERIFIED: this is the certificate {JOB} under the name of")
    answer = json.loads(run("verify", name, "--public-key", key, "--json")[1])
    assert (answer["verified"], answer["genuine"]) == (False, True)


@pytest.mark.parametrize("name", ["monday.json", "certificate.json", f"{JOB} (1).json", f"monday-{JOB}.json"])
def test_a_name_that_says_nothing_else_is_no_trouble(guard: Path, run: Run, name: str) -> None:
    content = a_certificate(guard)
    _, key = handed_over(guard, JOB)
    Path(name).write_bytes(content)
    assert run("verify", name, "--public-key", key)[0] == 0


def test_the_guards_own_machine_shows_nothing_of_one_under_anothers_name(guard: Path, run: Run) -> None:
    content = a_certificate(guard)
    (guard / "certificates" / f"{OTHER}.json").write_bytes(content)
    code, stdout, stderr = run("show", OTHER, data_dir=guard)
    assert (code, stdout) == (1, "") and f"this is the certificate {JOB} under the name of {OTHER}" in stderr
    rows = json.loads(run("list", "--json", data_dir=guard)[1])
    assert rows[0] == {"id": OTHER, "problem": f"this is the certificate {JOB} under the name of {OTHER}"}


def test_a_press_says_which_of_its_accounts_it_could_look_at(guard: Path, run: Run) -> None:
    a_certificate(guard)
    (press,) = (path.stem for path in (guard / "certificates").glob("*-press.json"))
    file, key = handed_over(guard, press)
    code, stdout, _ = run("verify", file, "--public-key", key)
    assert code == 0 and "FLAT, which is not proven here" in stdout
    assert "0 of 1 certificates" in stdout and "not looked at: the certificate of main" in stdout
    assert run("verify", file, "--public-key", key, "--require-flat")[0] == 1
    handed_over(guard, JOB)
    code, stdout, _ = run("verify", file, "--public-key", key, "--require-flat")
    assert code == 0 and "1 of 1 certificates of its accounts lie beside it and verify" in stdout
    Path(f"{JOB}.json").write_bytes(b"{}\n")
    assert run("verify", file, "--public-key", key)[0] == 1


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (("verify", "nothing.json", "--public-key", "guard.pem"), "No such file"),
        (("verify", f"{JOB}.json", "--public-key", "nothing.pem"), "No such file"),
        (("verify", f"{JOB}.json", "--public-key", f"{JOB}.json"), "not an Ed25519 public key"),
        (("verify", f"{JOB}.json"), "no public key"),
        (("key",), "there is no key"),
    ],
    ids=str,
)
def test_a_question_that_cannot_be_asked_is_neither_yes_nor_no(
    guard: Path, run: Run, words: tuple[str, ...], why: str
) -> None:
    a_certificate(guard)
    handed_over(guard, JOB)
    code, stdout, stderr = run(*words)
    assert (code, stdout) == (2, "") and why in stderr


def test_the_guards_own_machine_lists_and_shows_them(guard: Path, run: Run) -> None:
    nothing = f"there is no certificate in {guard / 'certificates'} yet: the first kill leaves one\n"
    assert run("list", data_dir=guard) == (0, nothing, "")
    assert run("list", "--json", data_dir=guard) == (0, "[]\n", "")
    a_certificate(guard)
    code, stdout, _ = run("list", "--json", data_dir=guard)
    rows = json.loads(stdout)
    assert code == 0 and [row["kind"] for row in rows] == ["press", "account"]
    code, stdout, _ = run("list", data_dir=guard)
    assert code == 0 and JOB in stdout and "FLAT" in stdout
    code, stdout, _ = run("show", JOB, data_dir=guard)
    assert code == 0 and "pressed by ann" in stdout and "8886774" in stdout, "order ids stand in it"
    code, stdout, _ = run("show", rows[0]["id"], data_dir=guard)
    assert code == 0 and "main" in stdout
    code, stdout, _ = run("show", JOB, "--json", data_dir=guard)
    assert stdout.encode() == (guard / "certificates" / f"{JOB}.json").read_bytes()
    for unknown in ("20200101T000000000000-00000000", "../public"):
        code, _, stderr = run("show", unknown, data_dir=guard)
        assert code == 1 and "there is no certificate" in stderr


def test_a_damaged_one_is_listed_with_what_is_wrong(guard: Path, run: Run) -> None:
    content = a_certificate(guard)
    path = guard / "certificates" / f"{JOB}.json"
    path.write_bytes(content[:-9])
    rows = json.loads(run("list", "--json", data_dir=guard)[1])
    assert rows[1] == {"id": JOB, "problem": "cut short, or not a certificate"}
    assert run("show", JOB, data_dir=guard)[0] == 1


def test_a_rotated_key_is_handed_out_and_the_old_certificates_stay_good(
    guard: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    a_certificate(guard)
    monkeypatch.setenv("PERPGUARD_PASSPHRASE", PASSPHRASE)
    before = json.loads(run("key", "--json", data_dir=guard)[1])
    assert before["public_key"].startswith("-----BEGIN PUBLIC KEY-----")
    code, stdout, stderr = run("rotate-key", data_dir=guard)
    assert code == 0, stderr
    now = json.loads(run("key", "--json", data_dir=guard)[1])
    assert now["key_id"] != before["key_id"] and now["key_id"] in stdout
    assert f"key {now['key_id']}" in run("key", data_dir=guard)[1]

    later = write_job(guard, a_flat_kill(), account="second", job_id="20261124T100000000000-ffffffff")
    a_keeper(guard, after(3600)).catch_up()
    directory = guard / "certificates"
    for job in (JOB, later.job.job_id):
        assert run("verify", directory / f"{job}.json", data_dir=guard)[0] == 0
    old = directory / f"public-{before['key_id']}.pem"
    assert run("verify", directory / f"{JOB}.json", "--public-key", old)[0] == 0
    assert run("verify", directory / f"{JOB}.json", "--public-key", directory / "public.pem")[0] == 1
    both = ("--public-key", old, "--public-key", directory / "public.pem")
    assert run("verify", directory / f"{JOB}.json", *both)[0] == 0


def test_nothing_secret_is_printed(guard: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    a_certificate(guard)
    monkeypatch.setenv("PERPGUARD_PASSPHRASE", PASSPHRASE)
    key = a_vault(guard).signing_key(after(0))
    assert key.private_key is not None
    commands = (("key",), ("key", "--json"), ("list",), ("show", JOB), ("rotate-key",))
    told = "".join("".join(run(*words, data_dir=guard)[1:]) for words in commands)
    assert key.private_key.reveal() not in told and PASSPHRASE not in told
