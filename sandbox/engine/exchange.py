"""The whole state of the exchange in one object; the files beside it are functions over it."""

from __future__ import annotations

import random
from collections.abc import Iterable
from decimal import Decimal

from sandbox.engine.account import Account
from sandbox.engine.events import Cause, EventLog
from sandbox.engine.instrument import Instrument
from sandbox.engine.market import Market
from sandbox.engine.model import ZERO, Income, IncomeKind
from sandbox.engine.playback import Playback
from sandbox.engine.rejection import Reason, Rejected
from sandbox.engine.scenario import Scenario
from sandbox.engine.street import Street

INSURANCE_FUND = Decimal(1_000_000)
_MONEY = Decimal("1e-8")


class Exchange:
    """Markets, accounts, counters and the seeded source of chance. Nothing here reads a clock."""

    def __init__(
        self,
        instruments: Iterable[Instrument],
        *,
        seed: int,
        scenario: Scenario,
        now_ms: int,
        insurance_fund: Decimal = INSURANCE_FUND,
    ) -> None:
        self.now_ms = now_ms
        self.steps = 0
        self.scenario = scenario
        self.scenario_began = 0
        self.chance = random.Random(seed)
        self.markets = {instrument.symbol: Market(instrument, now_ms) for instrument in instruments}
        self.accounts: dict[str, Account] = {}
        self.street = Street()
        # Pays for bankruptcies out of clearance fees, never below zero; when it is empty, positions are deleveraged.
        self.insurance_fund = insurance_fund
        # The exchange's own money: commissions, less the debts that neither margin nor fund covered.
        self.treasury = ZERO
        # Everything ever paid in from outside; see `money.py`.
        self.deposited = insurance_fund
        # While either is set nothing is matched, triggered, liquidated or charged.
        self.outage = False
        self.maintenance = False
        # Funding times up to this moment have been charged; it stands still while the exchange is halted.
        self.funded_ms = now_ms
        # Fault: so many orders to come are filled at most by this fraction of their quantity per step.
        self.partial_fills = 0
        self.partial_fill_fraction = Decimal("0.25")
        self.playback: Playback | None = None
        self.events = EventLog()
        self._last_id = 4_000_000_000

    @property
    def halted(self) -> bool:
        """True while the exchange does nothing but count time: a scripted outage, or maintenance."""
        return self.outage or self.maintenance

    def open_account(self, name: str, wallet: Decimal) -> Account:
        """Add a customer with `wallet` quote currency; the settings have checked that the name is new."""
        self.accounts[name] = Account(name, wallet)
        self.deposited += wallet
        return self.accounts[name]

    def set_insurance_fund(self, balance: Decimal) -> None:
        """Put the fund at `balance` quote currency, not below zero; the difference counts as paid in or taken out."""
        self.deposited += balance - self.insurance_fund
        self.insurance_fund = balance

    def transfer(self, account: Account, amount: Decimal) -> None:
        """Pay quote currency into an account, or out of it (negative), whatever it is needed for.

        Errors: `Rejected` for more than the cross wallet holds; nobody else would owe what is missing then.
        """
        if amount < 0 and account.cross_wallet + amount < 0:
            raise Rejected(Reason.MARGIN_INSUFFICIENT)
        booked = self.pay(account, IncomeKind.TRANSFER, "", amount)
        self.deposited += booked
        self.events.account_changed(self.now_ms, account, Cause.TRANSFER, change=booked)

    def market(self, symbol: str) -> Market:
        """The market of `symbol`; `Rejected(UNKNOWN_SYMBOL)` when it is not listed."""
        market = self.markets.get(symbol)
        if market is None:
            raise Rejected(Reason.UNKNOWN_SYMBOL)
        return market

    def next_id(self) -> int:
        """A number never given before: orders, trades, incomes and queue priorities share one counter."""
        self._last_id += 1
        return self._last_id

    def pay(
        self, account: Account, kind: IncomeKind, symbol: str, amount: Decimal, trade_id: int | None = None
    ) -> Decimal:
        """Change a wallet by `amount` (to eight decimals) and write the income row; returns what was booked.

        Whoever books it tells of it, together with the leg that changed.
        """
        booked = amount.quantize(_MONEY)
        if booked:
            account.wallet += booked
            account.incomes.append(
                Income(
                    income_id=self.next_id(),
                    kind=kind,
                    symbol=symbol,
                    amount=booked,
                    time_ms=self.now_ms,
                    trade_id=trade_id,
                )
            )
        return booked
