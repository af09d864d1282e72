"""The local kill truth: pressing is at once and for good, damage counts as pressed, releases do not leak."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from proxy.store.epoch import GENERATION_MAX
from proxy.store.fence import DESK, Fence, FenceCorrupt, Scope

MAIN, OTHER = Scope("main"), Scope("other")


@pytest.fixture
def fence(tmp_path: Path) -> Fence:
    return Fence.initialise(tmp_path)


def test_a_fresh_directory_is_open(fence: Fence):
    assert not fence.engaged("main")
    assert fence.scopes() == frozenset()
    assert fence.generation() == 1


def test_a_directory_never_initialised_is_killed(tmp_path: Path):
    assert Fence(tmp_path).engaged("main")
    assert Fence(tmp_path).scopes() == {DESK}
    with pytest.raises(FenceCorrupt):
        Fence(tmp_path).generation()


def test_an_account_kill_stops_that_account_and_moves_the_epoch(fence: Fence):
    before = fence.generation()
    assert fence.engage(MAIN) == before + 1 == fence.generation()
    assert fence.engaged("main")
    assert not fence.engaged("other")


def test_every_reader_hears_of_it_without_reopening(tmp_path: Path, fence: Fence):
    reader = Fence(tmp_path)
    assert not reader.engaged("main")
    fence.engage(DESK)
    assert reader.engaged("main")
    assert reader.generation() == fence.generation()


def test_releases_are_independent(fence: Fence):
    fence.engage(DESK)
    fence.engage(MAIN)
    fence.release(MAIN)
    assert fence.scopes() == {DESK}
    fence.engage(MAIN)
    fence.release(DESK)
    assert fence.scopes() == {MAIN}
    assert fence.engaged("main") and not fence.engaged("other")
    generation = fence.generation()
    assert fence.release(MAIN) == generation + 1
    assert not fence.engaged("main")


@pytest.mark.parametrize("damage", ["delete", "truncate", "empty", "flip", "lengthen", "directory", "unreadable"])
def test_a_damaged_epoch_means_killed_for_open_and_new_readers(tmp_path: Path, fence: Fence, damage: str):
    epoch = tmp_path / "kill" / "epoch"
    assert not fence.engaged("main")
    content = epoch.read_bytes()
    match damage:
        case "delete":
            epoch.unlink()
        case "truncate":
            epoch.write_bytes(content[:-1])
        case "empty":
            os.truncate(epoch, 0)
        case "flip":
            epoch.write_bytes(bytes([content[0] ^ 1]) + content[1:])
        case "lengthen":
            epoch.write_bytes(content + b"\0")
        case "directory":
            epoch.unlink()
            epoch.mkdir()
        case "unreadable":
            (tmp_path / "kill").rename(tmp_path / "gone")
            (tmp_path / "kill").write_text("")
    for reader in (Fence(tmp_path),) if damage == "unreadable" else (fence, Fence(tmp_path)):
        assert reader.engaged("main")
        with pytest.raises(FenceCorrupt):
            reader.generation()


def test_every_bit_of_the_epoch_is_guarded(tmp_path: Path, fence: Fence):
    epoch = tmp_path / "kill" / "epoch"
    content = epoch.read_bytes()
    for position in range(len(content) * 8):
        flipped = bytearray(content)
        flipped[position // 8] ^= 1 << position % 8
        epoch.write_bytes(flipped)
        assert fence.engaged("main"), position


def test_killing_one_account_does_not_mend_damage_for_the_others(tmp_path: Path, fence: Fence):
    (tmp_path / "kill" / "epoch").unlink()
    fence.engage(MAIN)
    assert fence.scopes() == {DESK, MAIN}
    assert fence.engaged("other")


def test_damage_is_mended_by_the_desk_only_and_with_a_number_never_used(tmp_path: Path, fence: Fence):
    before = fence.engage(MAIN)
    (tmp_path / "kill" / "epoch").write_bytes(b"")
    with pytest.raises(FenceCorrupt):
        fence.release(MAIN)
    assert fence.release(DESK) > before
    assert fence.scopes() == {MAIN}


def test_a_number_in_use_elsewhere_is_outrun_and_what_is_stopped_stays_so(tmp_path: Path, fence: Fence):
    fence.engage(MAIN)
    assert fence.outrun(40) == 41 == Fence(tmp_path).generation()
    assert Fence(tmp_path).scopes() == {MAIN}
    assert fence.outrun(7) == 41, "it never becomes smaller"
    assert fence.release(MAIN) == 42


@pytest.mark.parametrize("said", [GENERATION_MAX + 1, 2**64, 10**40])
def test_a_number_that_no_fence_can_have_is_not_heeded(fence: Fence, said: int):
    assert fence.outrun(said) == 1 == fence.generation()


def test_damage_is_not_mended_by_outrunning(tmp_path: Path, fence: Fence):
    (tmp_path / "kill" / "epoch").write_bytes(b"")
    with pytest.raises(FenceCorrupt):
        fence.outrun(40)
    assert fence.engaged("main")


def test_initialising_again_never_clears_a_kill(tmp_path: Path, fence: Fence):
    fence.engage(MAIN)
    assert Fence.initialise(tmp_path).scopes() == {MAIN}
    (tmp_path / "kill" / "epoch").unlink()
    assert Fence.initialise(tmp_path).scopes() == {DESK, MAIN}


def test_a_press_works_in_a_directory_that_does_not_exist_yet(tmp_path: Path):
    fence = Fence(tmp_path / "new" / "data")
    fence.engage(MAIN)
    assert fence.engaged("main") and fence.engaged("other")


def test_concurrent_presses_lose_no_generation(tmp_path: Path, fence: Fence):
    start = fence.generation()
    seen: list[int] = []

    def press() -> None:
        own = Fence(tmp_path)
        seen.extend(own.engage(MAIN) for _ in range(25))

    threads = [threading.Thread(target=press) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(seen) == list(range(start + 1, start + 201))
    assert fence.generation() == start + 200


def test_concurrent_initialisations_agree(tmp_path: Path):
    threads = [threading.Thread(target=Fence.initialise, args=(tmp_path,)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not Fence(tmp_path).engaged("main")
    assert [path.name for path in tmp_path.iterdir()] == ["kill"]


@pytest.mark.parametrize("text", ["desk", "venue:binanceusdm", "account:main", "account:A.b_c-9", "bot:grid"])
def test_scopes_are_spelled_back_as_they_were_read(text: str):
    assert str(Scope.parse(text)) == text


@pytest.mark.parametrize(
    "text", ["", "Desk", "account:", "account:a/b", "account:" + "x" * 33, "symbol:x", "account:ä", "bot:..", "venue:"]
)
def test_other_spellings_are_refused(text: str):
    with pytest.raises(ValueError, match="bot"):
        Scope.parse(text)


def test_the_fence_needs_nothing_but_the_standard_library():
    code = (
        "import sys, proxy.store.fence as f;"
        "print([m for m in sys.modules if m.split('.')[0] not in sys.stdlib_module_names"
        " and not m.startswith(('proxy', '_', 'sitecustomize')) and 'distutils' not in m])"
    )
    root = Path(__file__).parents[3]
    done = subprocess.run([sys.executable, "-I", "-c", f"import sys; sys.path.insert(0, {str(root)!r}); {code}"],
                          capture_output=True, text=True, check=True)  # fmt: skip
    assert done.stdout.strip() == "[]"


def test_a_reader_sees_a_mended_epoch_as_mended(tmp_path: Path) -> None:
    """The warden compares the truths all the time: taking a mended epoch for damage would stop the desk again."""
    fence, reader = Fence.initialise(tmp_path), Fence(tmp_path)
    before = reader.generation()
    (tmp_path / "kill" / "epoch").write_bytes(b"damage")
    assert reader.engaged("main")
    fence.release(DESK)
    assert reader.scopes() == frozenset()
    assert not reader.engaged("main")
    assert reader.generation() > before


@pytest.mark.parametrize("step", ["open", "utime", "fsync", "link"])
def test_a_press_is_at_no_moment_taken_for_a_persons_file(
    tmp_path: Path, fence: Fence, step: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Found as one order in a thousand presses under load: the warden saw the sentinel before it was dated, took it for
    somebody's own, pressed for it as well, and its close arrived at the exchange after BLOCKED."""
    watcher, seen = Fence(tmp_path), list[float | None]()
    real = getattr(os, step)

    def looked_at(*args: object, **options: object) -> object:
        seen.append(watcher.put_at(MAIN))
        done = real(*args, **options)
        seen.append(watcher.put_at(MAIN))
        return done

    monkeypatch.setattr(os, step, looked_at)
    fence.engage(MAIN)
    assert seen and set(seen) == {None}
    assert sorted(path.name for path in (tmp_path / "kill").iterdir()) == ["account.main", "epoch", "epoch.lock"]


def test_where_no_links_can_be_made_a_press_stops_all_the_same(
    tmp_path: Path, fence: Fence, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*args: object, **options: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "link", refused)
    fence.engage(MAIN)
    assert fence.scopes() == {MAIN} and fence.stands(MAIN) and fence.put_at(MAIN) is None
    assert sorted(path.name for path in (tmp_path / "kill").iterdir()) == ["account.main", "epoch", "epoch.lock"]


@pytest.mark.parametrize("used", ["guard.id", "audit/audit.anchor", "policy/active.toml"])
def test_a_used_directory_that_lost_its_kill_files_comes_back_stopped(tmp_path: Path, used: str):
    (tmp_path / used).parent.mkdir(exist_ok=True)
    (tmp_path / used).write_text("left by a guard")
    assert Fence(tmp_path).is_lost
    fence = Fence.resume(tmp_path)
    assert fence.scopes() == {DESK} and fence.engaged("main") and fence.stands(DESK)
    assert not fence.is_lost and Fence.resume(tmp_path).scopes() == {DESK}


def test_a_new_directory_and_one_that_a_person_initialised_begin_unstopped(tmp_path: Path):
    (tmp_path / "new" / "policy").mkdir(parents=True)
    (tmp_path / "new" / "policy" / "desk.toml").write_text("a person's")
    assert Fence.resume(tmp_path / "new").scopes() == frozenset()
    (tmp_path / "restored" / "audit").mkdir(parents=True)
    (tmp_path / "restored" / "audit" / "audit.anchor").write_text("of a backup")
    Fence.initialise(tmp_path / "restored")
    assert Fence.resume(tmp_path / "restored").scopes() == frozenset()
