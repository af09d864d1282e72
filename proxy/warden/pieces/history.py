"""Builds the memory of the last day that the console's charts are drawn from."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from proxy.control.exposures import leverage_of, limit_view, picture_of
from proxy.control.history import History
from proxy.signals.account_odds import LIQUIDATION
from proxy.warden.pieces.account import AccountPieces
from proxy.warden.pieces.desk import DeskPieces
from proxy.warden.pieces.ground import Ground
from rules.uses import uses_of

_DAY_S = 86_400


def build_history(ground: Ground, desk: DeskPieces) -> History:
    """One desk's. Holds, which live for moments, are not in it."""

    def look() -> Mapping[str, float]:
        seen = {"anomaly": desk.watch.levels()["desk"].value}
        for name, account in desk.accounts.items():
            seen |= {f"{what}:{name}": value for what, value in _of_account(ground, desk, account)}
        return seen

    return History(ground.settings.data_dir, look, ground.now)


def _of_account(ground: Ground, desk: DeskPieces, pieces: AccountPieces) -> Iterator[tuple[str, float]]:
    account, record = pieces.keeper.account, pieces.record.record
    venue = desk.venues[pieces.keeper.venue]
    picture = picture_of(account, venue.market.markets, (), venue.conditions.published, ground.now())
    leverage = leverage_of(picture)
    if leverage is not None:
        yield "leverage", float(leverage)
    bots = [bot for bot, traded in ground.traders() if traded == pieces.keeper.name]
    shares = [limit_view(use).share for use in uses_of(ground.policy(), picture, bots)]
    if shares:
        yield "limit", max(shares)
    for each in record.forecasts if record is not None else ():
        if (each.name, each.symbol, each.horizon_s) == (LIQUIDATION, "", _DAY_S):
            yield "liquidation", each.probability
