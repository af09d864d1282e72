"""A rolling restart with real processes: tiny ones, which say that they serve and wait for a signal."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from proxy.supervision.children import Child, end
from proxy.supervision.rolling import GONE_WITHIN_S, READY_WITHIN_S, Rolled, RollingRestart

SERVES = "import os, signal, sys\nos.write(int(sys.argv[-1]), b'ready\\n')\nsignal.pause()"
STAYS = "import os, signal, sys\nsignal.signal(signal.SIGHUP, signal.SIG_IGN)\n" + SERVES.split("\n", 1)[1]
NEVER_SERVES = "import signal\nsignal.pause()"
FAILS = "raise SystemExit(2)"
WAIT_S = 20


def a_gate(name: str, code: str = SERVES) -> Child:
    return Child(name, [sys.executable, "-c", code], {}, reports=True)


@contextmanager
def running(*gates: Child) -> Iterator[list[Child]]:
    served = list(gates)
    try:
        for gate in gates:
            gate.start()
        until(lambda: all(gate.ready for gate in gates))
        yield served
    finally:
        end([*gates, *served], 5)


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + WAIT_S
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)


class Clock:
    """Stands still until it is moved."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_each_gate_goes_when_its_successor_serves_and_not_before() -> None:
    one, two = a_gate("one"), a_gate("two")
    names = iter(("three", "four"))
    with running(one, two) as gates:
        restart = RollingRestart(gates, lambda _: a_gate(next(names)))

        def stepped() -> bool:
            restart.step(gates)
            assert sum(each.ready and not each.ended for each in gates) == 2
            return restart.state is not Rolled.RUNNING

        until(stepped)
        assert restart.state is Rolled.DONE
        assert [gate.name for gate in gates] == ["three", "four"]
        assert one.process is None
        assert two.process is None


def test_a_successor_that_fails_changes_nothing() -> None:
    one, two = a_gate("one"), a_gate("two")
    with running(one, two) as gates:
        restart = RollingRestart(gates, lambda _: a_gate("broken", FAILS))

        def stepped() -> bool:
            restart.step(gates)
            return restart.state is not Rolled.RUNNING

        until(stepped)
        assert restart.state is Rolled.FAILED
        assert gates == [one, two]
        assert not one.ended
        assert not two.ended


def test_a_successor_that_cannot_be_started_changes_nothing() -> None:
    one = a_gate("one")
    with running(one) as gates:
        restart = RollingRestart(gates, lambda _: Child("two", ["/nowhere/python"], {}, reports=True))
        restart.step(gates)
        assert restart.state is Rolled.FAILED
        assert restart.busy_with == ()
        assert gates == [one]
        assert not one.ended


def test_a_successor_that_never_serves_is_ended_and_the_old_one_stays() -> None:
    one, clock, made = a_gate("one"), Clock(), []
    with running(one) as gates:

        def successor(_: Child) -> Child:
            made.append(a_gate("mute", NEVER_SERVES))
            return made[-1]

        restart = RollingRestart(gates, successor, clock=clock)
        restart.step(gates)
        restart.step(gates)
        assert restart.busy_with == (made[0],)
        clock.now = READY_WITHIN_S + 1
        restart.step(gates)
        assert restart.state is Rolled.FAILED
        assert made[0].process is None
        assert not one.ended


def test_one_that_does_not_go_is_killed() -> None:
    one, clock = a_gate("one", STAYS), Clock()
    with running(one) as gates:
        restart = RollingRestart(gates, lambda _: a_gate("two"), clock=clock)

        def leaving() -> bool:
            restart.step(gates)
            return one in restart.busy_with

        until(leaving)
        clock.now = GONE_WITHIN_S + 1

        def stepped() -> bool:
            restart.step(gates)
            return restart.state is Rolled.DONE

        until(stepped)
        assert [gate.name for gate in gates] == ["two"]
