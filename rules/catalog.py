"""Every rule there is, in order of precedence: the first enforced breach is the one the bot is told."""

from __future__ import annotations

from typing import Final

from rules.flow.anti_slicing import AntiSlicing
from rules.flow.cool_down import CoolDown
from rules.flow.execution_throttle import ExecutionThrottle
from rules.flow.funding_probation import FundingProbation
from rules.flow.message_rate import MessageRate
from rules.flow.new_bot_ramp import NewBotRamp
from rules.flow.order_to_fill import OrderToFill
from rules.flow.staged_response import StagedResponse
from rules.flow.trading_state import TradingStateGate
from rules.market.data_freshness import DataFreshness
from rules.order.client_order_id import ClientOrderIdGate
from rules.order.exit_collar import ExitCollar
from rules.order.instrument_filters import InstrumentFilters
from rules.order.max_order_value import MaxOrderValue
from rules.order.price_collar import PriceCollar
from rules.order.unresolved_order import UnresolvedOrder
from rules.portfolio.correlated_exposure import CorrelatedExposure
from rules.portfolio.margin_budget import MarginBudget
from rules.position.max_leverage import MaxLeverage
from rules.position.own_share import OwnShare
from rules.position.position_limit import PositionLimit
from rules.position.reduce_only_exits import ReduceOnlyExits
from rules.rule import Rule

GATES: Final[tuple[type[Rule], ...]] = (TradingStateGate, DataFreshness, ClientOrderIdGate, UnresolvedOrder)
"""Judged first; one breach ends the judging, because the other rules need what these make sure of."""

EXIT_RULES: Final[tuple[type[Rule], ...]] = (ExitCollar,)
"""What an exit meets after the gates, beside the rules about ownership."""

OWNERSHIP_RULES: Final[tuple[type[Rule], ...]] = (OwnShare,)
"""What every command meets, exits and cancels among them: whose it is that they touch."""

ENTRY_RULES: Final[tuple[type[Rule], ...]] = (
    InstrumentFilters,
    MessageRate,
    StagedResponse,
    ExecutionThrottle,
    OrderToFill,
    CoolDown,
    MaxOrderValue,
    PriceCollar,
    ReduceOnlyExits,
    AntiSlicing,
    FundingProbation,
    NewBotRamp,
    PositionLimit,
    MaxLeverage,
    CorrelatedExposure,
    MarginBudget,
)
"""What entries, amends and settings meet; all are evaluated, so that the audit shows every objection."""

CATALOG: Final[dict[str, type[Rule]]] = {
    rule.rule_id: rule for rule in (*GATES, *EXIT_RULES, *OWNERSHIP_RULES, *ENTRY_RULES)
}
"""Rule id to rule: the names an operator may write in a policy."""
