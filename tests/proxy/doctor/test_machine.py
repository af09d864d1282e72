"""What the doctor sees on a machine: each mistake by itself, and nothing where there is none."""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace

import pytest

from proxy.doctor import machine
from proxy.doctor.finding import Level
from proxy.doctor.machine import look_at_drills, look_at_machine
from proxy.drill.shelf import DrillReport, drill_id, keep_drill
from proxy.settings import Settings
from proxy.store.fence import Fence, Scope
from proxy.tls.names import names_of
from proxy.tls.shelf import TlsShelf
from tests.proxy.drill.test_rehearsed import a_drill as a_drill_of

NOW = datetime(2026, 11, 27, 12, tzinfo=UTC)


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """A data directory in order, with a watchdog and a drill of yesterday."""
    Fence.initialise(tmp_path)
    tmp_path.chmod(0o700)
    a_drill(tmp_path, timedelta(days=1))
    return tmp_path


def a_drill(directory: Path, age: timedelta, *, passed: bool = True) -> None:
    at = NOW - age
    report = DrillReport(
        id=drill_id(at), kind="practice", at=at, by="ann", phase="FLAT", passed=passed, blocked_ms=4.0, accounts=()
    )
    keep_drill(directory, report)


def looked(directory: Path, **settings: object) -> dict[str, Level]:
    """What is not well: by check, how bad."""
    made = Settings(data_dir=directory, **({"watchdog": "local"} | settings))  # type: ignore[arg-type]
    found = [*look_at_machine(made, NOW), *look_at_drills(made, (), NOW)]
    return {each.check: each.level for each in found if each.level is not Level.OK}


def damaged(directory: Path) -> None:
    (directory / "kill" / "epoch").write_bytes(b"rubbish")


def stopped(directory: Path) -> None:
    Fence(directory).engage(Scope("main"))


def readable(directory: Path) -> None:
    (directory / "control.token").write_text("token")
    (directory / "control.token").chmod(0o640)


def open_to_others(name: str) -> Callable[[Path], object]:
    def make(directory: Path) -> None:
        path = directory / name
        path.parent.mkdir(exist_ok=True)
        path.write_text("secret")
        path.chmod(0o644)

    return make


def open_folder(name: str) -> Callable[[Path], object]:
    def make(directory: Path) -> None:
        (directory / name).mkdir(exist_ok=True)
        (directory / name).chmod(0o777)

    return make


MISTAKES: dict[str, tuple[Callable[[Path], object], dict[str, object], dict[str, Level]]] = {
    "damaged": (damaged, {}, {"kill state": Level.FAIL}),
    "stopped": (stopped, {}, {"kill state": Level.WARN}),
    "others may write": (lambda path: path.chmod(0o777), {}, {"rights of DIR": Level.FAIL}),
    "others may read": (readable, {}, {"rights of control.token": Level.FAIL}),
    "others may read who may sign in": (
        open_to_others("people/people.json"),
        {},
        {"rights of people.json": Level.FAIL},
    ),
    "others may drop a stop": (open_folder("kill"), {}, {"rights of kill": Level.FAIL}),
    "others may put another policy there": (open_folder("policy"), {}, {"rights of policy": Level.FAIL}),
    "others may read the authority's key": (open_to_others("tls/ca.key"), {}, {"rights of ca.key": Level.FAIL}),
    "a drill that failed": (lambda path: a_drill(path, timedelta(0), passed=False), {}, {"drill": Level.FAIL}),
    "no watchdog": (lambda path: None, {"watchdog": "none"}, {"watchdog": Level.WARN}),
    "a port without TLS": (lambda path: None, {"control_host": "10.0.0.7"}, {"control port": Level.WARN}),
    "no certificate": (lambda path: None, {"gate_https_port": 8443}, {"certificate of the gates": Level.FAIL}),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_each_mistake_is_found_and_nothing_else(directory: Path, name: str) -> None:
    make, settings, wanted = MISTAKES[name]
    assert looked(directory) == {}
    make(directory)
    assert looked(directory, **settings) == {
        check.replace("DIR", directory.name): level for check, level in wanted.items()
    }


@pytest.mark.parametrize(("mode", "said"), [(0o700, "DIR is yours alone"), (0o755, "only you can write in DIR")])
def test_a_folder_that_others_may_look_into_is_not_called_yours_alone(directory: Path, mode: int, said: str) -> None:
    directory.chmod(mode)
    found = {each.check: each for each in look_at_machine(Settings(data_dir=directory), NOW)}
    assert found[f"rights of {directory.name}"].said == said.replace("DIR", str(directory))


def test_what_belongs_to_another_user_is_given_to_the_guards_by_chown(
    directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(machine.os, "geteuid", lambda: 12_345)
    settings = Settings(data_dir=directory, watchdog="local")
    (found,) = [each for each in look_at_machine(settings, NOW) if each.level is Level.FAIL]
    assert f"chown 12345 {directory}" in found.mend


def test_the_drill_of_the_account_whose_is_the_worst_is_told(tmp_path: Path) -> None:
    def told(*accounts: str) -> tuple[Level, str]:
        (found,) = look_at_drills(Settings(data_dir=tmp_path), accounts, NOW)
        return found.level, found.said

    keep_drill(tmp_path, a_drill_of(0.5, "test"))
    assert told("main", "test") == (Level.WARN, "the kill of main was never rehearsed here")
    keep_drill(tmp_path, failed := a_drill_of(1, "main", passed=False))
    assert told("main", "test") == (Level.FAIL, f"the last rehearsal of main, {failed.id}, did not pass")
    keep_drill(tmp_path, a_drill_of(0.25, "main"))
    assert told("main", "test")[0] is Level.OK


def test_a_drill_of_long_ago_is_worth_a_look(tmp_path: Path) -> None:
    Fence.initialise(tmp_path)
    tmp_path.chmod(0o700)
    assert looked(tmp_path) == {"drill": Level.WARN}
    a_drill(tmp_path, timedelta(days=31))
    assert looked(tmp_path) == {"drill": Level.WARN}
    a_drill(tmp_path, timedelta(days=29))
    assert looked(tmp_path) == {}


@pytest.mark.parametrize(
    ("age", "wanted"), [(0, None), (366, None), (368, Level.WARN), (398, Level.FAIL)], ids=lambda value: str(value)
)
def test_a_certificate_that_ends_is_renewed_in_time(directory: Path, age: int, wanted: Level | None) -> None:
    TlsShelf(directory).begin(names_of("guard.lan"), NOW - timedelta(days=age))
    found = looked(directory, gate_https_port=8443)
    assert found == ({} if wanted is None else {"certificate of the gates": wanted})


@pytest.mark.parametrize(
    ("changes", "said"), [({"f_flag": os.ST_RDONLY}, "read-only"), ({"f_files": 100, "f_favail": 0}, "inode")]
)
def test_a_disk_that_takes_nothing_has_to_be_mended_however_much_is_free(
    directory: Path, monkeypatch: pytest.MonkeyPatch, changes: dict[str, int], said: str
) -> None:
    free = {"f_flag": 0, "f_files": 100, "f_favail": 100, "f_bavail": 1 << 40, "f_frsize": 4096}
    monkeypatch.setattr(os, "statvfs", lambda _: SimpleNamespace(**(free | changes)))
    (found,) = [each for each in look_at_machine(Settings(data_dir=directory), NOW) if each.level is Level.FAIL]
    assert found.check == "disk" and said in found.said


def test_a_certificate_without_its_key_is_none(directory: Path) -> None:
    """The gates go on with the old one, or do not start."""
    shelf = TlsShelf(directory)
    shelf.begin(names_of("guard.lan"), NOW)
    assert looked(directory, gate_https_port=8443) == {}
    whole = shelf.certificate.read_text()
    shelf.certificate.write_text(whole[: whole.index("-----BEGIN PRIVATE KEY")])
    assert looked(directory, gate_https_port=8443) == {"certificate of the gates": Level.FAIL}


def test_a_disk_that_is_nearly_full_is_worth_a_look(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "FREE_BYTES_LEAST", 1 << 60)
    assert looked(directory) == {"disk": Level.WARN}
