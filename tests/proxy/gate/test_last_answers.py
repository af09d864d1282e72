"""A gate that ends waits no longer for the exchange: what has no answer is unknown, and nothing is called failed."""

from __future__ import annotations

import asyncio

import pytest

from proxy.gate.last_answers import LastAnswers
from proxy.gate.upstream import NotSent, OutboundRequest, OutcomeUnknown, Turnstile, UpstreamReply

ORDER = OutboundRequest(method="POST", url="http://venue/fapi/v1/order", body="a=1", api_key="k")
REPLY = UpstreamReply(status=200, headers={}, body=b"{}")


class Venue:
    """Answers when it is let."""

    def __init__(self) -> None:
        self.asked = 0
        self.let = asyncio.Event()

    async def send(self, request: OutboundRequest, fence: Turnstile | None) -> UpstreamReply:
        self.asked += 1
        await self.let.wait()
        return REPLY

    async def aclose(self) -> None:
        pass


async def test_an_answer_in_time_is_passed_on() -> None:
    venue = Venue()
    venue.let.set()
    assert await LastAnswers(venue).send(ORDER, None) is REPLY


async def test_what_has_no_answer_is_unknown_and_its_task_goes_on() -> None:
    venue = Venue()
    upstream = LastAnswers(venue)

    async def order() -> str:
        with pytest.raises(OutcomeUnknown):
            await upstream.send(ORDER, None)
        async with asyncio.timeout(5):  # Its hold is still to be settled, within bounds that must work.
            await asyncio.sleep(0)
        return "settled"

    under_way = [asyncio.create_task(order()) for _ in range(3)]
    await asyncio.sleep(0)
    upstream.give_up()
    assert await asyncio.gather(*under_way) == ["settled"] * 3


async def test_nothing_is_sent_any_more() -> None:
    venue = Venue()
    upstream = LastAnswers(venue)
    upstream.give_up()
    with pytest.raises(NotSent):
        await upstream.send(ORDER, None)
    assert venue.asked == 0


async def test_who_is_cancelled_by_others_is_cancelled() -> None:
    upstream = LastAnswers(Venue())
    task = asyncio.create_task(upstream.send(ORDER, None))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
