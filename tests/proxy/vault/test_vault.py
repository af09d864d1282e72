"""The register: accounts, guard keys, their states, and what two open vaults see of each other."""

import stat
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from proxy.vault.errors import (
    DuplicateAccount,
    InvalidField,
    KeyRotated,
    PassphraseChanged,
    PassphraseRefused,
    UnknownAccount,
    UnknownKey,
    VaultCorrupt,
    VaultExists,
    VaultExposed,
    VaultMissing,
    WrongPassphrase,
)
from proxy.vault.keys import KeyState, Secret
from proxy.vault.vault import Vault


def test_what_was_put_in_comes_out_after_opening_again(vault: Vault, path: Path, passphrase: Secret, now: datetime):
    issued = vault.issue(bot="grid", account="main", label="first", now=now)
    again = Vault.open(path, passphrase)
    assert again.accounts() == vault.accounts()
    assert again.exchange_key("main").api_secret.reveal() == "exchange-secret-text"
    assert again.guard_key(issued.key) == issued
    assert again.guard_keys() == (issued,)


NAMES = st.from_regex(r"[A-Za-z0-9._-]{1,32}", fullmatch=True)
CREDENTIALS = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=80)


@settings(max_examples=15, deadline=None, database=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    accounts=st.dictionaries(NAMES, st.tuples(NAMES, CREDENTIALS, CREDENTIALS), min_size=1, max_size=4),
    bots=st.lists(NAMES, max_size=4),
    times=st.datetimes(datetime(2020, 1, 1), datetime(2100, 1, 1), timezones=st.timezones()),
)
def test_any_contents_survive_the_round_trip(tmp_path_factory, accounts, bots, times):
    path = tmp_path_factory.mktemp("round") / "vault.json"
    written = Vault.create(path, Secret("any passphrase é"), work_factor=2**14)
    for account, (venue, api_key, api_secret) in accounts.items():
        written.add_exchange_key(
            account=account, venue=venue, api_key=api_key, api_secret=Secret(api_secret), now=times
        )
    for bot in bots:
        written.issue(bot=bot, account=next(iter(accounts)), label=bot, now=times)
    read = Vault.open(path, Secret("any passphrase e\u0301"))  # The same passphrase as macOS would spell it.
    assert (read.accounts(), read.guard_keys()) == (written.accounts(), written.guard_keys())


def test_creating_over_a_vault_is_refused(vault: Vault, path: Path, passphrase: Secret):
    before = path.read_bytes()
    with pytest.raises(VaultExists):
        Vault.create(path, passphrase, work_factor=2**14)
    assert path.read_bytes() == before


def test_opening_what_is_not_there(path: Path, passphrase: Secret):
    with pytest.raises(VaultMissing):
        Vault.open(path, passphrase)


def test_a_wrong_passphrase_is_told_from_a_damaged_file(vault: Vault, path: Path):
    with pytest.raises(WrongPassphrase):
        Vault.open(path, Secret("correct horse battery stapler"))


def test_a_short_passphrase_is_refused_when_one_is_chosen(vault: Vault, tmp_path: Path):
    with pytest.raises(PassphraseRefused):
        Vault.create(tmp_path / "other.json", Secret("elevenchars"), work_factor=2**14)
    with pytest.raises(PassphraseRefused):
        vault.change_passphrase(Secret("elevenchars"))


@pytest.mark.parametrize("work_factor", [0, 2**13, 2**14 + 1, 2**21])
def test_a_work_factor_out_of_bounds_is_a_bug(path: Path, passphrase: Secret, work_factor: int):
    with pytest.raises(ValueError, match="work_factor"):
        Vault.create(path, passphrase, work_factor=work_factor)


def test_file_and_directory_are_private(vault: Vault, path: Path, now: datetime):
    path.chmod(0o644)
    vault.issue(bot="grid", account="main", label="x", now=now)
    modes = {each.name: stat.S_IMODE(each.stat().st_mode) for each in [path.parent, *path.parent.iterdir()]}
    assert modes == {"vault": 0o700, "vault.json": 0o600, "vault.json.lock": 0o600}


def test_a_directory_others_can_write_to_is_refused(tmp_path: Path, passphrase: Secret):
    shared = tmp_path / "shared"
    shared.mkdir()
    (shared / "theirs").touch()
    shared.chmod(0o777)
    with pytest.raises(VaultExposed):
        Vault.create(shared / "vault.json", passphrase, work_factor=2**14)
    assert stat.S_IMODE(shared.stat().st_mode) == 0o777


def test_an_account_is_added_once_and_unknown_ones_have_no_keys(vault: Vault, now: datetime):
    with pytest.raises(DuplicateAccount):
        vault.add_exchange_key(account="main", venue="bybit", api_key="k", api_secret=Secret("s"), now=now)
    with pytest.raises(UnknownAccount):
        vault.exchange_key("other")
    with pytest.raises(UnknownAccount):
        vault.issue(bot="grid", account="other", label="x", now=now)
    with pytest.raises(InvalidField):
        vault.issue(bot="../grid", account="main", label="x", now=now)
    assert vault.guard_key("nobody's") is None


def test_disable_and_enable(vault: Vault, now: datetime):
    key = vault.issue(bot="grid", account="main", label="x", now=now).key
    later = now + timedelta(minutes=1)
    disabled = vault.disable(key, later)
    assert (disabled.state, disabled.changed_at) == (KeyState.DISABLED, later)
    assert vault.disable(key, later + timedelta(minutes=1)) == disabled
    assert vault.enable(key, later).state is KeyState.ACTIVE
    for change in (vault.disable, vault.enable, vault.rotate):
        with pytest.raises(UnknownKey):
            change("unknown", now)


def test_rotation_refuses_the_old_key_for_ever(vault: Vault, now: datetime):
    old = vault.issue(bot="grid", account="main", label="x", now=now)
    new = vault.rotate(old.key, now)
    assert (new.bot, new.account, new.label, new.state) == ("grid", "main", "x", KeyState.ACTIVE)
    assert new.key != old.key and new.secret != old.secret
    assert vault.disable(old.key, now).state is KeyState.ROTATED
    for change in (vault.enable, vault.rotate):
        with pytest.raises(KeyRotated):
            change(old.key, now)


def test_rotating_a_disabled_key_does_not_let_the_bot_back_in(vault: Vault, now: datetime):
    key = vault.issue(bot="grid", account="main", label="x", now=now).key
    vault.disable(key, now)
    assert vault.rotate(key, now).state is KeyState.DISABLED


def test_reload_sees_what_another_process_wrote(vault: Vault, path: Path, passphrase: Secret, now: datetime):
    gate = Vault.open(path, passphrase)
    assert gate.reload_if_changed() is False
    key = vault.issue(bot="grid", account="main", label="x", now=now).key
    for change, state in [(vault.disable, KeyState.DISABLED), (vault.enable, KeyState.ACTIVE)] * 20:
        change(key, now)
        # Same size, same millisecond, perhaps a reused inode: still never missed.
        assert gate.reload_if_changed() is True
        seen = gate.guard_key(key)
        assert seen is not None and seen.state is state
    assert gate.reload_if_changed() is False


@pytest.mark.parametrize("damage", [lambda whole: whole[: len(whole) // 2], lambda whole: b"", lambda whole: b"{}"])
def test_a_half_written_file_keeps_the_old_state_and_says_so_every_time(
    vault: Vault, path: Path, now: datetime, damage
):
    issued = vault.issue(bot="grid", account="main", label="x", now=now)
    whole = path.read_bytes()
    path.write_bytes(damage(whole))
    for _ in range(2):
        with pytest.raises(VaultCorrupt):
            vault.reload_if_changed()
        assert vault.guard_key(issued.key) == issued
    with pytest.raises(VaultCorrupt):
        vault.issue(bot="grid", account="main", label="y", now=now)
    path.write_bytes(whole)
    assert vault.reload_if_changed() is True
    path.unlink()
    with pytest.raises(VaultMissing):
        vault.reload_if_changed()
    assert vault.guard_keys() == (issued,)


def test_putting_an_old_copy_back_does_not_revive_a_disabled_key(vault: Vault, path: Path, now: datetime):
    key = vault.issue(bot="grid", account="main", label="x", now=now).key
    before = path.read_bytes()
    vault.disable(key, now)
    path.write_bytes(before)
    with pytest.raises(VaultCorrupt, match="older"):
        vault.reload_if_changed()
    seen = vault.guard_key(key)
    assert seen is not None and seen.state is KeyState.DISABLED


def test_a_new_passphrase_replaces_the_old_one(vault: Vault, path: Path, passphrase: Secret, now: datetime):
    other = Vault.open(path, passphrase)
    salt = vault._sealer.salt
    vault.change_passphrase(Secret("another passphrase"))
    issued = vault.issue(bot="grid", account="main", label="x", now=now)
    assert vault._sealer.salt != salt
    assert Vault.open(path, Secret("another passphrase")).guard_keys() == (issued,)
    with pytest.raises(WrongPassphrase):
        Vault.open(path, passphrase)
    with pytest.raises(PassphraseChanged):
        other.reload_if_changed()
    with pytest.raises(PassphraseChanged):
        other.issue(bot="grid", account="main", label="y", now=now)
    assert other.accounts() == vault.accounts()


def test_each_write_has_a_new_nonce_under_the_same_salt(vault: Vault, path: Path, now: datetime):
    from proxy.vault.sealing import parse

    headers = [parse(path.read_bytes()).header]
    for _ in range(5):
        vault.issue(bot="grid", account="main", label="x", now=now)
        headers.append(parse(path.read_bytes()).header)
    assert len({header.nonce for header in headers}) == 6
    assert len({header.salt for header in headers}) == 1
