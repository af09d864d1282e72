"""The collector leaves what stays alone, and looks seldom at the rest."""

from __future__ import annotations

import gc
from collections.abc import Iterator

import pytest

from proxy.collector import LOOKS_PER_OLDER, YOUNG_MAX, spare_what_stays


@pytest.fixture(autouse=True)
def usual() -> Iterator[None]:
    before, enabled = gc.get_threshold(), gc.isenabled()
    yield
    gc.unfreeze()
    gc.set_threshold(*before)
    if not enabled:
        gc.disable()


def test_what_is_there_is_walked_no_more_and_what_comes_is() -> None:
    gc.disable()
    stays, looks = [[] for _ in range(1_000)], list[int]()
    spare_what_stays()
    found = gc.get_objects()
    assert gc.isenabled() and not any(each is found_one for each in stays[:1] for found_one in found)
    gc.callbacks.append(count := lambda phase, info: looks.append(info["generation"]) if phase == "start" else None)
    try:
        waiting = [[] for _ in range(4 * YOUNG_MAX)]
    finally:
        gc.callbacks.remove(count)
    assert 1 <= len(looks) <= 5, f"{len(waiting)} objects that wait"
    assert gc.get_threshold() == (YOUNG_MAX, LOOKS_PER_OLDER, LOOKS_PER_OLDER)
