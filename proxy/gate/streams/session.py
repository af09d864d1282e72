"""One bot on a stream socket: what it asks for is looked up, followed and answered, one call after another."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import assert_never

from websockets.frames import CloseCode

from proxy.gate.bot_socket import SocketGone
from proxy.gate.streams.admission import FrameSocket
from proxy.gate.streams.hooks import Attached, UserStreams
from proxy.gate.streams.keys import KeyedSockets, TooManySockets
from proxy.gate.streams.relay import Follower, NoRoom, Relay
from proxy.venues.binance.stream_calls import (
    Call,
    GetCombined,
    ListSubscriptions,
    RefusedCall,
    SetCombined,
    Subscribe,
    UnreadableCall,
    Unsubscribe,
    read_call,
    result,
    too_many_streams,
    unknown_stream,
)
from proxy.venues.binance.stream_paths import STREAMS_MAX, StreamTarget
from proxy.venues.binance.streams import Stream, find_stream, is_stream_key


class StreamSession:
    """The streams of one socket. Whatever ends it, nothing of it stays behind."""

    def __init__(
        self,
        socket: FrameSocket,
        *,
        combined: bool,
        relay: Relay,
        users: UserStreams,
        keys: KeyedSockets,
    ) -> None:
        self._socket = socket
        self._relay = relay
        self._users = users
        self._keys = keys
        self._follower = Follower(socket, combined)
        # In the order they were asked for, market and user streams alike.
        self._subscriptions: dict[str, Stream | Attached] = {}
        self._narrowed: Mapping[str, frozenset[str]] = {}

    async def serve(self, target: StreamTarget) -> None:
        """Follow what the path named, then do as the bot says until the socket is gone."""
        try:
            self._begin(target)
            while True:
                await self._obey(await self._socket.receive())
        finally:
            for name in tuple(self._subscriptions):
                self._drop(name)

    def _begin(self, target: StreamTarget) -> None:
        self._narrowed = target.narrowed
        try:
            self._take((*(stream.name for stream in target.streams), *target.stream_keys), unknown_stream(None))
        except RefusedCall as refused:
            self._socket.close(CloseCode.POLICY_VIOLATION, str(refused))

    async def _obey(self, text: str) -> None:
        try:
            call = read_call(text)
            self._socket.send(result(call.id, await self._answer(call)))
        except RefusedCall as refused:
            self._socket.send(refused.answer)
        except UnreadableCall as unreadable:
            self._socket.close(CloseCode.POLICY_VIOLATION, str(unreadable))

    async def _answer(self, call: Call) -> object:
        match call:
            case Subscribe():
                await self._expect_live(call.names)
                self._take(call.names, unknown_stream(call.id))
                await self._confirm(call.names)
            case Unsubscribe():
                for name in call.names:
                    self._drop(name)
            case ListSubscriptions():
                return list(self._subscriptions)
            case SetCombined():
                self._set_combined(call)
            case GetCombined():
                return self._follower.combined
            case _:
                assert_never(call)
        return None

    async def _expect_live(self, names: tuple[str, ...]) -> None:
        """A private stream is only begun where nothing of it can be missed."""
        for name in names:
            if is_stream_key(name) and not await self._users.ready(name):
                self._socket.close(CloseCode.SERVICE_RESTART, "GUARD VENUE_UNREACHABLE: the venue does not answer")
                raise SocketGone

    def _take(self, names: tuple[str, ...], unknown: RefusedCall) -> None:
        """Follow all of ``names``, or none and raise ``RefusedCall``."""
        added: list[str] = []
        try:
            for name in names:
                if name not in self._subscriptions:
                    self._subscriptions[name] = self._open(name, unknown)
                    added.append(name)
        except RefusedCall:
            for name in added:
                self._drop(name)
            raise

    def _open(self, name: str, unknown: RefusedCall) -> Stream | Attached:
        if len(self._subscriptions) >= STREAMS_MAX:
            raise too_many_streams(unknown.call_id)
        if is_stream_key(name):
            return self._attach(name, unknown)
        stream = find_stream(name)
        if stream is None:
            raise unknown
        try:
            self._relay.follow(stream, self._follower)
        except NoRoom:
            raise too_many_streams(unknown.call_id) from None
        return stream

    def _attach(self, stream_key: str, unknown: RefusedCall) -> Attached:
        events = self._narrowed.get(stream_key)
        attached = self._users.open(stream_key, self._socket, combined=self._follower.combined, events=events)
        if attached is None:
            raise unknown
        try:
            self._keys.bind(attached.guard_key, self._socket)
        except TooManySockets:
            attached.close()
            raise too_many_streams(unknown.call_id) from None
        return attached

    def _drop(self, name: str) -> None:
        match self._subscriptions.pop(name, None):
            case None:
                pass  # Binance answers the same whether it was there or not.
            case Stream() as stream:
                self._relay.unfollow(stream, self._follower)
            case attached:
                self._keys.release(attached.guard_key, self._socket)
                attached.close()

    async def _confirm(self, names: tuple[str, ...]) -> None:
        """Wait for the venue: a bot takes its snapshot on the answer, and differences must be flowing by then."""
        streams = [found for name in names if isinstance(found := self._subscriptions.get(name), Stream)]
        confirmed = asyncio.create_task(self._relay.confirmed(streams))
        gone = asyncio.create_task(self._socket.gone.wait())
        try:
            await asyncio.wait((confirmed, gone), return_when=asyncio.FIRST_COMPLETED)
        finally:
            confirmed.cancel()
            gone.cancel()
        if gone.done():
            raise SocketGone
        if not confirmed.result():
            self._socket.close(CloseCode.SERVICE_RESTART, "GUARD VENUE_UNREACHABLE: the venue does not answer")
            raise SocketGone

    def _set_combined(self, call: SetCombined) -> None:
        if call.combined == self._follower.combined:
            return
        self._follower.combined = call.combined
        for name in tuple(self._subscriptions):
            if is_stream_key(name):  # Its events are wrapped where they are made.
                self._drop(name)
                self._subscriptions[name] = self._attach(name, unknown_stream(call.id))
