"""The instruments the practice exchange lists by default. Values resemble Binance USD-M's; prices are invented."""

from decimal import Decimal

from sandbox.engine.instrument import Instrument, InstrumentStatus, tiers

_MAJOR_TIERS = tiers(
    (125, 300_000, "0.004"),
    (100, 800_000, "0.005"),
    (75, 3_000_000, "0.0065"),
    (50, 12_000_000, "0.01"),
    (25, 70_000_000, "0.02"),
    (20, 100_000_000, "0.025"),
    (10, 230_000_000, "0.05"),
    (5, 480_000_000, "0.1"),
    (4, 600_000_000, "0.125"),
    (3, 800_000_000, "0.15"),
    (2, 1_200_000_000, "0.25"),
    (1, 1_800_000_000, "0.5"),
)
_ALT_TIERS = tiers(
    (75, 10_000, "0.005"),
    (50, 100_000, "0.0065"),
    (40, 500_000, "0.01"),
    (25, 1_000_000, "0.02"),
    (20, 5_000_000, "0.025"),
    (10, 25_000_000, "0.05"),
    (5, 50_000_000, "0.1"),
    (4, 62_500_000, "0.125"),
    (2, 125_000_000, "0.25"),
    (1, 250_000_000, "0.5"),
)


def _listed(
    base: str,
    start_price: str,
    tick: str,
    lot_step: str,
    quantities_max: tuple[str, str],
    notional_min: str,
    volatility: str,
    depth: str,
    *,
    major: bool = False,
    status: InstrumentStatus = InstrumentStatus.TRADING,
) -> Instrument:
    return Instrument(
        symbol=f"{base}USDT",
        base=base,
        quote="USDT",
        start_price=Decimal(start_price),
        tick=Decimal(tick),
        price_min=Decimal(tick) * 10,
        price_max=Decimal(start_price).quantize(Decimal(1)) * 100 + 100,
        lot_step=Decimal(lot_step),
        quantity_max=Decimal(quantities_max[0]),
        market_quantity_max=Decimal(quantities_max[1]),
        notional_min=Decimal(notional_min),
        band=Decimal("0.05") if major else Decimal("0.1"),
        volatility_per_year=Decimal(volatility),
        depth_quantity=Decimal(depth),
        tiers=_MAJOR_TIERS if major else _ALT_TIERS,
        status=status,
    )


EXTRA_MAX = 50


def extra_instruments(number: int) -> tuple[Instrument, ...]:
    """Invented contracts `X01USDT` and on, for measurements that need more symbols than the list has."""
    return tuple(
        _listed(f"X{each:02}", "100", "0.01", "0.01", ("1000000", "50000"), "5", "0.90", "300")
        for each in range(1, number + 1)
    )


DEFAULT_INSTRUMENTS: tuple[Instrument, ...] = (
    _listed("BTC", "90000", "0.1", "0.001", ("1000", "120"), "100", "0.50", "0.6", major=True),
    _listed("ETH", "3000", "0.01", "0.001", ("10000", "2000"), "20", "0.70", "18", major=True),
    _listed("SOL", "140", "0.01", "0.01", ("1000000", "5000"), "5", "0.90", "300"),
    _listed("XRP", "2.2", "0.0001", "0.1", ("10000000", "2000000"), "5", "0.90", "18000"),
    _listed("DOGE", "0.16", "0.00001", "1", ("50000000", "30000000"), "5", "1.00", "250000"),
    # Listed and priced but closed for orders, so that clients and guards can be tried against a delisting.
    _listed(
        "LUNC", "0.05", "0.00001", "1", ("50000000", "30000000"), "5", "1.20", "1", status=InstrumentStatus.SETTLING
    ),
)


def listed_as(
    *,
    symbol: str,
    base: str,
    start_price: Decimal,
    tick: Decimal,
    lot_step: Decimal,
    quantity_max: Decimal,
    market_quantity_max: Decimal,
    notional_min: Decimal,
    depth_quantity: Decimal,
) -> Instrument:
    """An instrument with the terms of a venue's own; margin tiers are the majors', fees the venue's usual ones."""
    return Instrument(
        symbol=symbol,
        base=base,
        quote="USDT",
        start_price=start_price,
        tick=tick,
        price_min=tick,
        price_max=start_price * 100,
        lot_step=lot_step,
        quantity_max=quantity_max,
        market_quantity_max=market_quantity_max,
        notional_min=notional_min,
        band=Decimal("0.1"),
        volatility_per_year=Decimal("0.9"),
        depth_quantity=depth_quantity,
        tiers=_MAJOR_TIERS,
    )


def with_listed(instruments: tuple[Instrument, ...], own: tuple[Instrument, ...]) -> tuple[Instrument, ...]:
    """`instruments` and `own` ones, which stand in the place of those of their symbol."""
    symbols = {each.symbol for each in own}
    return (*(each for each in instruments if each.symbol not in symbols), *own)
