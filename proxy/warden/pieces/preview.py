"""Builds the look ahead at a press, over what the warden's own pieces know; none of the kill's hands is in it."""

from __future__ import annotations

from proxy.kill.preview import Knowledge, OwnPart, Preview
from proxy.warden.pieces.bots import KnownShare, has_all
from proxy.warden.pieces.desk import DeskPieces
from proxy.warden.pieces.ground import Ground


def build_preview(ground: Ground, desk: DeskPieces) -> Preview:
    """The look ahead of a desk."""

    def part(bot: str, account: str) -> OwnPart | None:
        return None if has_all(ground, bot, account) else KnownShare(bot, desk.accounts[account])

    knowledge = Knowledge(
        account=lambda name: desk.accounts[name].keeper.account,
        part=part,
        markets=lambda venue: desk.venues[venue].market.markets,
        depth=lambda venue, symbol: desk.venues[venue].depth(symbol),
    )
    return Preview(roster=desk.kill.roster, knowledge=knowledge, now=ground.now)
