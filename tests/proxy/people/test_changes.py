"""What can become of the people, and what never may."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from proxy.people.changes import (
    ChangeRefused,
    Joining,
    with_code_used,
    with_disabled,
    with_enabled,
    with_first_link,
    with_invited,
    with_joined,
    with_reset,
    with_role,
    without_changes,
)
from proxy.people.roles import Role
from proxy.people.users import LINKS_MAX, USERS_MAX, People, UserState, digest_of
from proxy.settings import CodesFor
from tests.support.people import a_user

NOW = datetime(2026, 11, 24, 9, 30, tzinfo=UTC)
LATER = NOW + timedelta(hours=1)
ADA, BEN = a_user("Ada Lovelace"), a_user("Ben", Role.TRADER)
DESK = People(users=(ADA, BEN))


def joining(name: str = "Grace Hopper") -> Joining:
    return Joining(name=name, password="a hash", code_secret="", code_step=0)


def invited(name: str = "Grace Hopper", role: Role = Role.TRADER, people: People = DESK) -> People:
    return with_invited(people, name, role, digest=digest_of("token"), by="Ada Lovelace", now=NOW)


def test_who_is_invited_comes_in_once() -> None:
    people = invited()
    assert [user.state for user in people.users if user.name == "Grace Hopper"] == [UserState.INVITED]
    link = people.link("token", LATER)
    assert link is not None and people.link("other", LATER) is None
    joined = with_joined(people, link, joining(), codes=CodesFor.RISK, now=LATER)
    grace = joined.find("grace hopper")
    assert grace is not None and (grace.state, grace.role) == (UserState.ACTIVE, Role.TRADER)
    assert joined.links == ()
    with pytest.raises(ChangeRefused, match="used"):
        with_joined(joined, link, joining(), codes=CodesFor.RISK, now=LATER)


def test_a_link_is_good_for_a_day_and_its_token_is_not_kept() -> None:
    people = invited()
    assert people.link("token", NOW + timedelta(hours=24)) is None
    assert "token" not in repr(people)


def test_the_first_admins_link_is_void_once_there_is_an_admin() -> None:
    people = with_first_link(with_first_link(People(), digest_of("one"), NOW), digest_of("two"), NOW)
    assert people.link("one", LATER) is None, "each start has its own"
    first = people.link("two", LATER)
    assert first is not None
    both = with_invited(people, "Grace", Role.ADMIN, digest=digest_of("three"), by="somebody", now=NOW)
    other = both.link("three", LATER)
    assert other is not None
    with_grace = with_joined(both, other, joining("Grace"), codes=CodesFor.NONE, now=LATER)
    assert with_grace.links == ()
    with pytest.raises(ChangeRefused):
        with_joined(with_grace, first, joining("Eve"), codes=CodesFor.NONE, now=LATER)
    with pytest.raises(ChangeRefused, match="there is an admin"):
        with_first_link(with_grace, digest_of("four"), LATER)


@pytest.mark.parametrize("name", ["ada lovelace", "Ada-Lovelace", "ADA LOVELACE", "Áda Lovelace"])
def test_two_people_have_two_names(name: str) -> None:
    with pytest.raises(ChangeRefused, match="Ada Lovelace"):
        invited(name)
    gone = with_disabled(People(users=(a_user("Eve"), ADA)), "Ada Lovelace", codes=CodesFor.NONE, by="Eve", now=NOW)
    with pytest.raises(ChangeRefused, match="Ada Lovelace"):
        invited(name, people=gone)


@pytest.mark.parametrize("name", ["", "x", " ", "..", "a\nb\x00c", "n" * 65], ids=repr)
def test_a_name_is_one(name: str) -> None:
    with pytest.raises(ChangeRefused):
        invited(name)


@pytest.mark.parametrize("act", ["role", "disable"])
def test_the_last_admin_stays(act: str) -> None:
    with pytest.raises(ChangeRefused, match="last admin"):
        if act == "role":
            with_role(DESK, "Ada Lovelace", Role.RISK, codes=CodesFor.NONE, by="Ada Lovelace", now=NOW)
        else:
            with_disabled(DESK, "Ada Lovelace", codes=CodesFor.NONE, by="Ada Lovelace", now=NOW)


def test_a_role_that_needs_an_app_is_not_given_to_somebody_without_one() -> None:
    with pytest.raises(ChangeRefused, match="no authenticator app"):
        with_role(DESK, "Ben", Role.RISK, codes=CodesFor.RISK, by="Ada Lovelace", now=NOW)
    able = People(users=(ADA, a_user("Ben", Role.TRADER, code_secret="JBSWY3DPEHPK3PXP")))
    changed = with_role(able, "Ben", Role.RISK, codes=CodesFor.RISK, by="Ada Lovelace", now=NOW).find("Ben")
    assert changed is not None and changed.role is Role.RISK


def test_disabling_ends_sessions_and_voids_links() -> None:
    people = with_disabled(invited(), "Grace Hopper", codes=CodesFor.NONE, by="Ada Lovelace", now=NOW)
    assert people.links == ()
    grace = people.find("Grace Hopper")
    assert grace is not None and (grace.state, grace.generation) == (UserState.DISABLED, 1)
    back = with_enabled(people, "Grace Hopper", by="Ada Lovelace", now=NOW).find("Grace Hopper")
    assert back is not None and back.state is UserState.INVITED


def test_a_reset_forgets_password_and_app_and_gives_a_link() -> None:
    able = People(users=(ADA, a_user("Ben", Role.TRADER, code_secret="JBSWY3DPEHPK3PXP")))
    people = with_reset(able, "Ben", digest=digest_of("again"), by="Ada Lovelace", now=NOW)
    ben = people.find("Ben")
    assert ben is not None and (ben.password, ben.code_secret, ben.generation) == ("", "", 1)
    link = people.link("again", LATER)
    assert link is not None and link.name == "Ben"


def test_a_code_is_used_up_with_those_before_it() -> None:
    people = with_code_used(DESK, "Ben", 1000)
    for step in (999, 1000):
        with pytest.raises(ChangeRefused):
            with_code_used(people, "Ben", step)
    assert with_code_used(people, "Ben", 1001).find("Ben") != people.find("Ben")


def test_there_is_a_bound_to_people_and_to_links() -> None:
    crowd = People(users=tuple(a_user(f"Person {number}") for number in range(USERS_MAX)))
    with pytest.raises(ChangeRefused, match="the most"):
        invited(people=crowd)
    people = DESK
    for number in range(LINKS_MAX):
        people = invited(f"Guest {number}", people=people)
    with pytest.raises(ChangeRefused, match="the most"):
        invited(people=people)


def test_the_audit_learns_who_did_what_to_whom() -> None:
    people = with_role(invited(), "Ben", Role.VIEWER, codes=CodesFor.RISK, by="Ada Lovelace", now=LATER)
    told = [(change.what, change.by, change.detail) for change in people.changes]
    assert told == [
        ("people.invited", "Ada Lovelace", {"user": "Grace Hopper", "role": "trader"}),
        ("people.role", "Ada Lovelace", {"user": "Ben", "role": "viewer", "before": "trader"}),
    ]
    assert without_changes(people, people.changes[:1]).changes == people.changes[1:]


def test_nor_to_somebody_who_is_disabled_and_would_come_back_with_it() -> None:
    gone = with_disabled(DESK, "Ben", codes=CodesFor.RISK, by="Ada Lovelace", now=NOW)
    with pytest.raises(ChangeRefused, match="no authenticator app"):
        with_role(gone, "Ben", Role.ADMIN, codes=CodesFor.RISK, by="Ada Lovelace", now=NOW)
    invited_only = with_role(invited(), "Grace Hopper", Role.ADMIN, codes=CodesFor.RISK, by="Ada Lovelace", now=NOW)
    found = invited_only.find("Grace Hopper")
    assert found is not None and found.role is Role.ADMIN, "who joins sets an app up then"


def test_an_admin_who_cannot_sign_in_is_none_beside_the_last_one_who_can() -> None:
    able = a_user("Eve", code_secret="JBSWY3DPEHPK3PXP")
    desk = People(users=(able, a_user("Ada Lovelace")))
    with pytest.raises(ChangeRefused, match="last admin"):
        with_disabled(desk, "Eve", codes=CodesFor.RISK, by="Ada Lovelace", now=NOW)
    assert with_disabled(desk, "Eve", codes=CodesFor.NONE, by="Ada Lovelace", now=NOW).admins
