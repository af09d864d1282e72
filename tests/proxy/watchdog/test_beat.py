"""What guard and watchdog say to each other: nobody else can say it, and nothing said counts twice."""

from __future__ import annotations

import pytest

from proxy.vault.keys import Secret
from proxy.watchdog.beat import Answer, Beat, Call, Duty, SealBroken, Terms, seal, unseal
from rules.kill.settings import Flatten, OnGoodbye

OURS, THEIRS = Secret("a" * 64), Secret("b" * 64)
TERMS = Terms(silent_s=10, on_goodbye=OnGoodbye.STAND_DOWN, flatten=Flatten())
BEAT = Beat(boot_us=1, number=2, terms=TERMS, still=("the kill's mirror",), leaving=True)
CALL = Call(name="local", host="h", nonce="n", challenge="", duty=Duty.WATCHING)


@pytest.mark.parametrize("value", [BEAT, CALL, Answer(nonce="n", challenge="c", beat=BEAT)])
def test_what_is_sealed_comes_back(value: Beat | Call | Answer) -> None:
    assert unseal(OURS, type(value), seal(OURS, value)) == value


@pytest.mark.parametrize(
    "text",
    [
        "",
        ".",
        "x" * 5_000,
        "é.{}",
        seal(THEIRS, CALL),
        seal(OURS, BEAT),
        seal(OURS, CALL)[:-1],
        seal(OURS, CALL).replace("local", "other"),
        seal(OURS, CALL).replace(".", "", 1),
    ],
)
def test_anything_else_is_broken(text: str) -> None:
    with pytest.raises(SealBroken) as broken:
        unseal(OURS, Call, text)
    assert str(broken.value) == ""


def test_a_seal_says_nothing_of_the_secret() -> None:
    assert OURS.reveal() not in seal(OURS, CALL)
