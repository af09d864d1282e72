"""Who is who: passwords, codes that count once, and a file that changes under a running process."""

from __future__ import annotations

import logging
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyotp
import pytest
from argon2 import PasswordHasher

from proxy.people.changes import ChangeRefused
from proxy.people.codes import new_secret, picture
from proxy.people.file import PeopleBusy, PeopleFile, PeopleUnreadable
from proxy.people.passwords import PasswordRefused, Passwords
from proxy.people.register import CodeMissing, Register
from proxy.people.roles import Role
from proxy.people.users import People, UserState
from proxy.settings import CodesFor
from tests.support.people import PASSWORD, QUICK, a_register, a_user, write_people

NOW = datetime(2026, 11, 24, 9, 30, tzinfo=UTC)
SECRET = "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP"


class Clock:
    time = NOW

    def __call__(self) -> datetime:
        return self.time


@pytest.fixture
def clock() -> Clock:
    return Clock()


def with_app(tmp_path: Path, clock: Clock) -> Register:
    ada = a_user("Ada Lovelace", code_secret=SECRET)
    PeopleFile(tmp_path).change(lambda people: People(users=(ada,)))
    return a_register(tmp_path, clock, CodesFor.RISK)


def code(at: datetime) -> str:
    return pyotp.TOTP(SECRET).at(at)


def test_a_person_is_known_by_password_however_the_name_is_spelled(tmp_path: Path, clock: Clock) -> None:
    write_people(tmp_path)
    register = a_register(tmp_path, clock)
    user = register.proved(" ada  LOVELACE", PASSWORD, "")
    assert user is not None and user.name == "Ada Lovelace"
    for name, password in (("Ada Lovelace", "wrong"), ("Ada Lovelace", ""), ("Nobody", PASSWORD), ("", "")):
        assert register.proved(name, password, "") is None
    register.set_disabled("Vic", disabled=True, by="a test")
    assert register.proved("Vic", PASSWORD, "") is None
    assert not register.proved_again("Vic", PASSWORD)


def test_a_name_nobody_has_costs_the_same_work(tmp_path: Path, clock: Clock) -> None:
    hashed: list[str] = []

    class Counting(Passwords):
        def verify(self, kept: str, password: str) -> bool:
            hashed.append(kept)
            return super().verify(kept, password)

    write_people(tmp_path)
    register = Register(tmp_path, now=clock, codes=CodesFor.NONE, passwords=Counting(QUICK))
    register.set_disabled("Vic", disabled=True, by="a test")
    for name in ("Nobody", "Vic", "Ada Lovelace"):
        register.proved(name, "wrong", "")
    assert [bool(each) for each in hashed] == [False, False, True], "one verification each"
    assert Passwords(QUICK)._nobodys.startswith("$argon2id$")


@pytest.mark.parametrize(("steps", "right"), [(-2, False), (-1, True), (0, True), (1, True), (2, False)])
def test_a_code_may_be_one_step_off(tmp_path: Path, clock: Clock, steps: int, right: bool) -> None:
    register = with_app(tmp_path, clock)
    user = register.proved("Ada Lovelace", PASSWORD, code(NOW + timedelta(seconds=30 * steps)))
    assert (user is not None) is right


def test_a_code_counts_once_even_after_a_restart(tmp_path: Path, clock: Clock) -> None:
    register = with_app(tmp_path, clock)
    assert register.proved("Ada Lovelace", PASSWORD, code(NOW)) is not None
    before = code(NOW - timedelta(seconds=30))
    for again in (register, with_same_file(tmp_path, clock)):
        assert again.proved("Ada Lovelace", PASSWORD, code(NOW)) is None
        assert again.proved("Ada Lovelace", PASSWORD, before) is None, "nor one before it"
        assert not again.proved_again("Ada Lovelace", code(NOW))
    clock.time = NOW + timedelta(seconds=30)
    assert register.proved_again("Ada Lovelace", code(clock.time))
    assert not register.proved_again("Ada Lovelace", code(clock.time))
    assert register.proved_again("Ada Lovelace", PASSWORD)


def with_same_file(tmp_path: Path, clock: Clock) -> Register:
    return a_register(tmp_path, clock, CodesFor.RISK)


def test_a_wrong_password_does_not_use_the_code_up(tmp_path: Path, clock: Clock) -> None:
    register = with_app(tmp_path, clock)
    assert register.proved("Ada Lovelace", "wrong", code(NOW)) is None
    assert register.proved("Ada Lovelace", PASSWORD, code(NOW)) is not None


@pytest.mark.parametrize("text", ["", "12345", "1234567", "١٢٣٤٥٦", "12345a", "0x1234"])
def test_what_is_no_code_is_none(tmp_path: Path, clock: Clock, text: str) -> None:
    assert with_app(tmp_path, clock).proved("Ada Lovelace", PASSWORD, text) is None


def test_who_needs_an_app_and_has_none_does_not_come_in(tmp_path: Path, clock: Clock) -> None:
    write_people(tmp_path)
    register = a_register(tmp_path, clock, CodesFor.RISK)
    with pytest.raises(CodeMissing):
        register.proved("Ben", PASSWORD, "")
    assert register.proved("Ben", "wrong", "") is None, "which is said to Ben alone"
    assert register.proved("Tess", PASSWORD, "") is not None
    with pytest.raises(CodeMissing):
        a_register(tmp_path, clock, CodesFor.ALL).proved("Tess", PASSWORD, "")


def test_a_used_code_that_cannot_be_kept_is_remembered_and_the_person_comes_in(
    tmp_path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    register = with_app(tmp_path, clock)

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(PeopleFile, "write", full)
    assert register.proved("Ada Lovelace", PASSWORD, code(NOW)) is not None
    assert register.proved("Ada Lovelace", PASSWORD, code(NOW)) is None
    assert "a used code cannot be kept on disk" in caplog.text


def test_a_hash_of_older_parameters_is_renewed(tmp_path: Path, clock: Clock) -> None:
    write_people(tmp_path)
    stronger = PasswordHasher(time_cost=2, memory_cost=16, parallelism=1)
    register = Register(tmp_path, now=clock, codes=CodesFor.NONE, passwords=Passwords(stronger))
    before = register.people.find("Tess")
    assert register.proved("Tess", PASSWORD, "") is not None
    after = register.people.find("Tess")
    assert before is not None and after is not None and before.password != after.password
    assert (after.generation, "m=16,t=2" in after.password) == (before.generation, True)
    assert register.proved("Tess", PASSWORD, "") is not None


@pytest.mark.parametrize("password", ["short", "x" * 257, "a" * 20, "Tess Trader 1", "tess-TRADER 1"])
def test_a_password_that_is_none_is_refused(password: str) -> None:
    with pytest.raises(PasswordRefused):
        Passwords(QUICK).hash(password, "Tess Trader 1")


def test_one_accent_is_one_however_it_was_typed() -> None:
    passwords = Passwords(QUICK)
    kept = passwords.hash("na\u00efve horse battery", "Ada")
    assert passwords.verify(kept, "nai\u0308ve horse battery")


def test_the_first_admin_names_themselves_and_has_an_app(tmp_path: Path, clock: Clock) -> None:
    from proxy.people.changes import with_first_link
    from proxy.people.users import digest_of

    PeopleFile(tmp_path).change(lambda people: with_first_link(people, digest_of("token"), NOW))
    register = a_register(tmp_path, clock, CodesFor.RISK)
    link = register.link("token")
    assert link is not None
    given: dict[str, Any] = {"name": "Ada Lovelace", "password": PASSWORD, "code_secret": SECRET}
    for wrong in ("", "000000"):
        with pytest.raises(ChangeRefused, match="not the code"):
            register.join(link, **given, code=wrong)
    user = register.join(link, **given, code=code(NOW))
    assert (user.name, user.role, user.has_code) == ("Ada Lovelace", Role.ADMIN, True)
    assert register.link("token") is None
    assert register.proved("Ada Lovelace", PASSWORD, code(NOW)) is None, "the code that set it up is used"


def test_a_role_given_while_somebody_joins_counts_for_whether_they_need_an_app(tmp_path: Path, clock: Clock) -> None:
    write_people(tmp_path)
    admin = a_register(tmp_path, clock, CodesFor.RISK)

    class Slow(Passwords):
        def hash(self, password: str, name: str) -> str:
            admin.set_role("Grace Hopper", Role.ADMIN, by="Ada Lovelace")
            return super().hash(password, name)

    register = Register(tmp_path, now=clock, codes=CodesFor.RISK, passwords=Slow(QUICK))
    link = register.link(admin.invite("Grace Hopper", Role.TRADER, by="Ada Lovelace"))
    assert link is not None
    given: dict[str, Any] = {"name": "", "password": PASSWORD, "code_secret": SECRET}
    with pytest.raises(ChangeRefused, match="the role admin needs an authenticator app"):
        register.join(link, **given, code="")
    grace = register.people.find("Grace Hopper")
    assert grace is not None and grace.state is UserState.INVITED, "the link is good still"
    grace = register.join(link, **given, code=code(NOW))
    assert (grace.role, grace.has_code) == (Role.ADMIN, True)


def test_what_another_process_writes_is_seen_at_once(tmp_path: Path, clock: Clock) -> None:
    write_people(tmp_path)
    register, other = a_register(tmp_path, clock), a_register(tmp_path, clock)
    assert register.people.find("Vic") is not None
    other.set_role("Vic", Role.TRADER, by="a test")
    vic = register.people.find("Vic")
    assert vic is not None and vic.role is Role.TRADER


def test_a_file_that_breaks_or_goes_keeps_the_people_of_before_and_is_said_once(
    tmp_path: Path, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    write_people(tmp_path)
    register = a_register(tmp_path, clock)
    whole = register.people
    path = PeopleFile(tmp_path).path
    good = path.read_bytes()
    with caplog.at_level(logging.ERROR):
        path.write_bytes(b"{")
        assert register.people == whole and register.people == whole
        assert len(caplog.records) == 1 and register.trouble
        path.unlink()
        assert register.people == whole
        with pytest.raises(PeopleUnreadable, match="gone"):
            register.set_role("Vic", Role.TRADER, by="a test")
    path.write_bytes(good)
    path.chmod(0o600)
    assert register.people == whole and register.trouble == ""


def test_no_secret_shows_in_a_repr(tmp_path: Path, clock: Clock) -> None:
    register = with_app(tmp_path, clock)
    shown = repr(register.people) + repr(register)
    assert SECRET not in shown and "argon2" not in shown


def test_the_picture_has_no_style_and_an_app_can_read_it() -> None:
    drawn = picture(new_secret(), name="Ada <b>")
    assert drawn.startswith("<svg") and "style" not in drawn and "<b>" not in drawn and "script" not in drawn


def test_who_may_now_is_who_is_active_in_that_role_or_nobody_of_the_desk(tmp_path: Path, clock: Clock) -> None:
    write_people(tmp_path)
    register = a_register(tmp_path, clock)
    assert register.may("ben", Role.RISK) and register.may("Ada Lovelace", Role.RISK)
    assert not register.may("Tess", Role.RISK)
    assert register.may("release robot", Role.RISK), "a name that nobody has is a machine's"
    register.set_disabled("Ben", disabled=True, by="a test")
    assert not register.may("Ben", Role.RISK)
    PeopleFile(tmp_path).path.write_text("rubbish")
    anew = a_register(tmp_path, clock)
    assert not anew.may("release robot", Role.RISK), "nobody knows whether that is somebody"
    assert register.may("Ann", Role.RISK), "the people of before stay"


def test_a_used_code_does_not_count_again_where_the_disk_takes_nothing(
    tmp_path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert with_app(tmp_path, clock).proved("Ada Lovelace", PASSWORD, code(NOW)) is not None
    after_restart = with_same_file(tmp_path, clock)

    def busy(*_: object) -> None:
        raise PeopleBusy("it is being changed by somebody else")

    monkeypatch.setattr(PeopleFile, "change", busy)
    assert after_restart.proved("Ada Lovelace", PASSWORD, code(NOW)) is None
    assert not after_restart.proved_again("Ada Lovelace", code(NOW))


def test_of_two_who_bring_one_code_at_once_one_comes_in_on_a_full_disk_too(
    tmp_path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    register = with_app(tmp_path, clock)
    both = threading.Barrier(2)

    def full(*_: object) -> None:
        with suppress(threading.BrokenBarrierError):
            both.wait(0.5)
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(PeopleFile, "change", full)
    with ThreadPoolExecutor(2) as pool:
        tries = [pool.submit(register.proved, "Ada Lovelace", PASSWORD, code(NOW)) for _ in range(2)]
        assert [one.result() is None for one in tries].count(False) == 1
