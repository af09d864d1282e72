"""F21, F23: four latches, bot, account, venue and desk, that know nothing of each other, on disk and in the store."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.kill.joins import widest
from proxy.store.epoch import RECORD_BYTES
from proxy.store.fence import DESK, Fence, FenceCorrupt, Level, Scope
from proxy.store.view import controls_for
from rules.model import TradingState

VENUES = {"main": "binanceusdm", "second": "binanceusdm", "third": "other"}
BOTS = ("grid", "maker")
SCOPES = (
    DESK,
    *(Scope(venue=venue) for venue in sorted(set(VENUES.values()))),
    *map(Scope, VENUES),
    *(Scope(bot=bot) for bot in BOTS),
)
EVERYBODY = [(account, venue, bot) for account, venue in VENUES.items() for bot in BOTS]

acts = st.lists(st.tuples(st.sampled_from(["press", "touch", "release", "lose"]), st.sampled_from(SCOPES)), max_size=12)


def stops(scope: Scope, account: str, venue: str, bot: str) -> bool:
    """What a scope means, said once more."""
    return scope == DESK or scope.venue == venue or scope.account == account or scope.bot == bot


def sentinel(data_dir: Path, scope: Scope) -> Path:
    return data_dir / "kill" / str(scope).replace(":", ".")


@settings(max_examples=60, deadline=None)
@given(acts)
def test_f21_each_scope_stops_what_it_covers_and_releasing_one_releases_no_other(
    taken: list[tuple[str, Scope]],
) -> None:
    with tempfile.TemporaryDirectory() as directory:
        data_dir = Path(directory)
        fence, reader = Fence.initialise(data_dir), Fence(data_dir)
        pressed: set[Scope] = set()
        dropped: set[Scope] = set()
        for act, scope in taken:
            match act:
                case "press":
                    fence.engage(scope)
                    pressed.add(scope)
                case "touch":
                    sentinel(data_dir, scope).touch()
                    dropped.add(scope)
                case "release":
                    fence.release(scope)
                    pressed.discard(scope)
                    dropped.discard(scope)
                case "lose":  # The file goes; what was pressed is in the epoch, what was only dropped was the file.
                    sentinel(data_dir, scope).unlink(missing_ok=True)
                    dropped.discard(scope)
            standing = pressed | dropped
            assert reader.scopes() == standing
            for account, venue, bot in EVERYBODY:
                expected = any(stops(each, account, venue, bot) for each in standing)
                assert reader.engaged(account, venue, bot) is expected, (act, scope, account, bot)


@pytest.mark.parametrize("other", [scope for scope in SCOPES if scope != Scope("main")], ids=str)
def test_f21_releasing_another_scope_releases_none_whose_sentinel_is_lost(tmp_path: Path, other: Scope) -> None:
    fence = Fence.initialise(tmp_path)
    fence.engage(Scope("main"))
    fence.engage(other)
    sentinel(tmp_path, Scope("main")).unlink()
    fence.release(other)
    assert fence.scopes() == {Scope("main")} and Fence(tmp_path).engaged("main")


@given(st.sets(st.sampled_from(SCOPES)))
def test_f21_the_store_knows_the_same_four_levels(engaged: set[Scope]) -> None:
    fields = {scope.control: "HALTED" for scope in engaged} | {f"kill:{scope}": "1" for scope in engaged}
    for account, venue, bot in EVERYBODY:
        found = controls_for(fields, account=account, venue=venue, bot=bot, symbols=["BTCUSDT"])
        expected = any(stops(each, account, venue, bot) for each in engaged)
        assert (found.strictest is TradingState.HALTED) is expected
        assert found.kill_running is expected


@given(st.lists(st.sampled_from(SCOPES), min_size=1))
def test_f20_the_widest_of_several_presses_is_what_was_stopped(pressed: list[Scope]) -> None:
    found = Scope.parse(widest(map(str, pressed)))
    assert found in pressed
    assert all(each.level.width <= found.level.width for each in pressed)


def test_a_killed_bot_and_one_that_a_rule_stopped_are_two_latches() -> None:
    killed = controls_for({"killed:bot:grid": "HALTED"}, account="main", bot="grid", symbols=[])
    ruled = controls_for({"bot:grid": "REDUCING"}, account="main", bot="grid", symbols=[])
    both = controls_for({"killed:bot:grid": "HALTED", "bot:grid": "REDUCING"}, account="main", bot="grid", symbols=[])
    assert (killed.bot, ruled.bot, both.bot) == (TradingState.HALTED, TradingState.REDUCING, TradingState.HALTED)


def test_a_scope_names_one_thing() -> None:
    with pytest.raises(ValueError, match="one thing"):
        Scope("main", bot="grid")
    assert [scope.level for scope in (Scope(bot="a"), Scope("a"), Scope(venue="a"), DESK)] == list(Level)


def flip(epoch: Path) -> None:
    content = bytearray(epoch.read_bytes())
    content[9] ^= 1
    epoch.write_bytes(content)


DAMAGE: dict[str, Callable[[Path], None]] = {
    "deleted": Path.unlink,
    "truncated": lambda epoch: os.truncate(epoch, RECORD_BYTES // 2),
    "emptied": lambda epoch: os.truncate(epoch, 0),
    "a bit": flip,
}


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE)
def test_f23_a_state_that_is_lost_or_damaged_means_killed(tmp_path: Path, damage: Callable[[Path], None]) -> None:
    fence = Fence.initialise(tmp_path)
    fence.engage(Scope("main"))
    damage(tmp_path / "kill" / "epoch")
    for reader in (fence, Fence(tmp_path)):
        assert all(reader.engaged(account, venue, bot) for account, venue, bot in EVERYBODY)
        assert DESK in reader.scopes()
        with pytest.raises(FenceCorrupt):
            reader.generation()
    assert Fence.initialise(tmp_path).scopes() == {DESK, Scope("main")}, "a restart cleared the kill"


def test_f23_losing_the_sentinel_alone_releases_nothing(tmp_path: Path) -> None:
    fence = Fence.initialise(tmp_path)
    fence.engage(Scope("main"))
    sentinel(tmp_path, Scope("main")).unlink()
    assert Fence(tmp_path).engaged("main") and not Fence(tmp_path).engaged("second")
    fence.release(Scope("main"))
    assert not Fence(tmp_path).engaged("main")


def test_f19_a_disk_without_room_for_a_file_still_takes_the_press(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fence, reader = Fence.initialise(tmp_path), Fence(tmp_path)
    opened = os.open

    def no_new_file(path: str | Path, flags: int, *mode: int) -> int:
        if flags & os.O_CREAT and not Path(path).exists():
            raise OSError(28, "No space left on device")
        return opened(path, flags, *mode)

    monkeypatch.setattr(os, "open", no_new_file)
    fence.engage(Scope("main"))
    assert reader.engaged("main") and not reader.engaged("second")


def test_more_scopes_than_the_epoch_has_room_for_are_left_to_their_sentinels(tmp_path: Path) -> None:
    fence = Fence.initialise(tmp_path)
    many = [Scope(bot=f"bot-with-a-long-name-{number:03}") for number in range(60)]
    for scope in many:
        fence.engage(scope)
    fence.engage(DESK)
    assert fence.scopes() == {DESK, *many}
    assert DESK in fence.recorded(), "the widest has no place"
    assert fence.by_hand() == frozenset(), "it would be engaged for ever"
    fence.release(DESK)
    assert all(Fence(tmp_path).engaged("main", "binanceusdm", str(scope.bot)) for scope in many)
