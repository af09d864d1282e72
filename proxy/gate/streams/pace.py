"""When one bot's socket is read on: a message at a time, and of a patient bot no faster than its rate."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

from proxy.gate.streams.arrival import Arrival
from proxy.gate.streams.rate import Rate

CONTROL_FRAMES_PER_S: Final = 5.0
"""Pings and pongs of a bot; Binance allows five messages a second of any kind on its spot streams. Of a patiently read
bot more of them count as messages."""


class Pace:
    """Holds back one connection's bytes. A bot that is read patiently waits for its rate, any other is told off."""

    transport: asyncio.Transport
    """Whose reading is paused and resumed; there once the connection is made."""

    def __init__(self, loop: asyncio.AbstractEventLoop, arrival: Arrival) -> None:
        """``arrival`` is told when reading is paused and resumed, and of what is read."""
        self._loop = loop
        self._arrival = arrival
        self.patient = False
        self._messages: Rate
        self._control = Rate(CONTROL_FRAMES_PER_S, loop.time())
        self._paused = False
        self._held = False
        self._ended = False
        self._resting: asyncio.TimerHandle | None = None
        self._unread = b""

    @property
    def paused(self) -> bool:
        """Whether what the bot sends waits in its own kernel."""
        return self._paused

    @property
    def keeps_some(self) -> bool:
        """Whether something was taken off the wire and not read."""
        return bool(self._unread)

    def agreed(self, messages_per_s: float, *, patient: bool) -> None:
        """The bot is let in: so many messages a second are its rate."""
        self._messages = Rate(messages_per_s, self._loop.time())
        self.patient = patient

    def came(self, data: bytes) -> bytes:
        """Bytes were taken off the wire; what there is to be read of these and earlier ones now."""
        if self._resting is not None:  # TLS hands over what it had deciphered before it heard of the pause.
            self._unread += data
            return b""
        self._arrival.read(len(data))
        data, self._unread = self._unread + data, b""
        return data

    def keeps_back(self, data: bytes, start: int, read_on: Callable[[bytes], None]) -> bool:
        """Whether ``data`` from ``start`` on waits for the rate. ``read_on`` gets it as soon as the rate has room."""
        if not self.patient or not (wait_s := self._messages.wait_s(self._loop.time())):
            return False
        self._unread = data[start:]
        self.pause()
        self._resting = self._loop.call_later(wait_s, self._rested, read_on)
        return True

    def takes_message(self) -> bool:
        """Count a message, or a part of one; whether it is within the rate. A patiently read bot's may all come."""
        if not self.patient:
            return self._messages.take(self._loop.time())
        self._messages.owe(self._loop.time())
        return True

    def takes_control(self) -> bool:
        """Count a ping or a pong; whether it may come. Of a patiently read bot they gather behind its messages while
        those wait."""
        if self._control.take(self._loop.time()):
            return True
        if self.patient:
            self._messages.owe(self._loop.time())
        return self.patient

    def pause(self) -> None:
        """Take nothing more off the wire until ``resume``."""
        if not self._paused and not self.transport.is_closing():
            self._paused = True
            self._arrival.paused()
            self.transport.pause_reading()

    def resume(self) -> None:
        """Take more off the wire, unless the rate has no room or the server is about to stop."""
        waits = self._held or self._resting is not None
        if self._paused and not self.transport.is_closing() and (self._ended or not waits):
            self._paused = False
            self.transport.resume_reading()
            self._arrival.resumed()

    def hold(self) -> None:
        """The server is about to stop: nothing more is taken off the wire but the end of the connection."""
        self._held = True
        self.pause()

    def end(self) -> None:
        """The socket is closed: nothing of the bot's waits for its rate any more."""
        self._ended = True
        if self._resting is not None:
            self._resting.cancel()
            self._resting = None

    def _rested(self, read_on: Callable[[bytes], None]) -> None:
        self._resting = None
        unread, self._unread = self._unread, b""
        read_on(unread)
