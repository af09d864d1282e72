"""``perpguard signals show``: every forecast and score as the running warden has published it.

Exit codes: 0 done, 1 refused, 3 nobody answered.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from proxy.commands.answering import answered_by_the_warden
from proxy.commands.exit_codes import OK
from proxy.terminal import safe, say, show_json

if TYPE_CHECKING:
    from proxy.commands.arguments import Arguments

NO_PREDICTION: Final = "crowding, no prediction"


def add_arguments(actions: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add ``show`` to the sub-commands of ``signals``."""
    add_options(actions.add_parser("show", help="what is stated now (also without a sub-command)"))


def add_options(parser: argparse.ArgumentParser) -> None:
    """The options of ``show``, which ``signals`` alone understands too."""
    # Suppressed when not given: the default of the sub-command must not undo what stood before it.
    parser.add_argument("--json", action="store_true", default=argparse.SUPPRESS, help="print JSON")
    parser.set_defaults(signals_run=run)


def run(args: Arguments) -> int:
    """Print what the warden tells."""
    return answered_by_the_warden("signals", lambda: _show(args))


def _show(args: Arguments) -> int:
    from proxy.client.asking import ask

    told = ask(args.settings, "GET", "/api/signals")
    if getattr(args, "json", False):
        show_json(told)
    else:
        say(*lines(told))
    return OK


def lines(told: Mapping[str, Any]) -> Iterator[str]:
    """One line for each forecast, anomaly score and temperature."""
    if not told["forecasts"]:
        yield "no forecast is stated"
    for each in told["forecasts"]:
        yield safe(_forecast(each))
    for venue in told.get("venues", ()):
        yield from map(safe, _venue(venue))
    for each in told["anomalies"]:
        why = f" why={each['why']}" if each["why"] else ""
        yield safe(f"anomaly {each['level']}={each['name']} score={each['value']:.3g}{why}")
    for each in told["temperatures"]:
        value = f"{each['value']:.0f}" if each["value"] is not None else "not known"
        carry = "".join(f" carry {held['account']}={held['a_day']:+.2f}/day" for held in each["carry"])
        pays = f" longs_pay={each['funding_a_day']:.4%}/day" if each["funding_a_day"] is not None else ""
        yield safe(
            f"temperature {each['symbol']} {value} of 100{pays}{carry} age={each['age_s']:.0f}s ({NO_PREDICTION})"
        )


def _venue(venue: Mapping[str, Any]) -> Iterator[str]:
    """What is worked out of a venue's accounts and symbols now, jumps beside the odds."""
    for account in venue["accounts"]:
        found = account["forecast"]
        name, cold = f"liquidation {found['account']}", " cold" if found["cold"] else ""
        for leg in found["legs"]:
            what = f"{leg['symbol']} {leg['position_side']}"
            jumps = f" jumps: {_jumps(leg['stress'])}" if leg["stress"] else ""
            yield f"{name} {what} {_odds(leg['odds'])}{jumps}{cold}"
        yield f"{name} any position {_odds(found['any_leg'])}{cold}"
        if found["cross"]:
            yield f"{name} cross balance {_odds(found['cross'])} jumps: {_jumps(found['stress'])}{cold}"
    for each in venue["symbols"]:
        volatility = " ".join(f"{hours}h={scale:.2%}" for hours, scale in each["volatility"].items())
        wild = "not known" if each["wild"] is None else f"{each['wild']:.2f}"
        marks = "".join(f" {word}" for word in ("cold", "alarmed", "is_wild") if each[word])
        told = f"volatility {each['symbol']} {volatility} wild={wild}"
        yield f"{told} hours={each['hours']} method={each['method']}{marks}"


def _odds(odds: Sequence[Mapping[str, Any]]) -> str:
    if not odds:
        return "odds not known"
    return " ".join(
        f"{'funding' if each['until_funding'] else format(each['horizon_h'], 'g') + 'h'}={each['probability']:.4g}"
        for each in odds
    )


def _jumps(stress: Iterable[Mapping[str, Any]]) -> str:
    return " ".join(
        f"{each['move']:+.0%} {'ends it' if each['hit'] else format(each['left'], '.0f') + ' left'}" for each in stress
    )


def _forecast(each: Mapping[str, Any]) -> str:
    subject = each["symbol"] or "account"
    stated = f"{each['signal']} {subject} {each['horizon_h']:g}h {each['key']} {each['kind']}={each['value']:.4g}"
    skill = f" skill={each['skill']:+.3f}" if each["skill"] is not None else ""
    why = f" ({each['why']})" if each["why"] else ""
    return (
        f"{stated} age={each['age_s']:.0f}s method={each['method']} n={each['n']}{skill} status={each['status']}{why}"
    )
