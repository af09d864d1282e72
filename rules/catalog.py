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
from rules.market.book_quality import BookQuality
from rules.market.data_freshness import DataFreshness
from rules.market.delisting import Delisting
from rules.market.funding_window import FundingWindow
from rules.market.latency_shock import LatencyShock
from rules.market.leverage_temperature import LeverageTemperature
from rules.market.liquidation_forecast import LiquidationForecast
from rules.market.maintenance_window import MaintenanceWindow
from rules.market.price_divergence import PriceDivergence
from rules.market.slippage_forecast import SlippageForecast
from rules.market.volatility_scaling import VolatilityScaling
from rules.order.client_order_id import ClientOrderIdGate
from rules.order.conditional_probation import ConditionalProbation
from rules.order.duplicate_order import DuplicateOrder
from rules.order.exit_collar import ExitCollar
from rules.order.instrument_filters import InstrumentFilters
from rules.order.max_order_value import MaxOrderValue
from rules.order.max_order_volume import MaxOrderVolume
from rules.order.order_types import OrderTypes
from rules.order.price_collar import PriceCollar
from rules.order.self_trade import SelfTrade
from rules.order.trigger_source import TriggerSource
from rules.order.unresolved_order import UnresolvedOrder
from rules.portfolio.concentration import Concentration
from rules.portfolio.correlated_exposure import CorrelatedExposure
from rules.portfolio.daily_loss import DailyLoss
from rules.portfolio.drawdown import Drawdown
from rules.portfolio.exposure_limits import ExposureLimits
from rules.portfolio.margin_budget import MarginBudget
from rules.portfolio.profit_lock import ProfitLock
from rules.position.adl_rank import AdlRank
from rules.position.liquidation_distance import LiquidationDistance
from rules.position.margin_mode import MarginModeRule
from rules.position.max_leverage import MaxLeverage
from rules.position.own_share import OwnShare
from rules.position.position_limit import PositionLimit
from rules.position.position_mode import PositionMode
from rules.position.protective_stop import ProtectiveStop
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
    OrderTypes,
    TriggerSource,
    MessageRate,
    StagedResponse,
    ExecutionThrottle,
    OrderToFill,
    CoolDown,
    MaintenanceWindow,
    Delisting,
    LatencyShock,
    PriceDivergence,
    BookQuality,
    FundingWindow,
    DuplicateOrder,
    SelfTrade,
    MaxOrderValue,
    MaxOrderVolume,
    AntiSlicing,
    PriceCollar,
    SlippageForecast,
    ConditionalProbation,
    FundingProbation,
    NewBotRamp,
    ReduceOnlyExits,
    MarginModeRule,
    PositionMode,
    PositionLimit,
    VolatilityScaling,
    LeverageTemperature,
    LiquidationForecast,
    MaxLeverage,
    LiquidationDistance,
    ProtectiveStop,
    AdlRank,
    ExposureLimits,
    CorrelatedExposure,
    Concentration,
    MarginBudget,
    DailyLoss,
    Drawdown,
    ProfitLock,
)
"""What entries, amends and settings meet; all are evaluated, so that the audit shows every objection."""

CATALOG: Final[dict[str, type[Rule]]] = {
    rule.rule_id: rule for rule in (*GATES, *EXIT_RULES, *OWNERSHIP_RULES, *ENTRY_RULES)
}
"""Rule id to rule: the names an operator may write in a policy."""
