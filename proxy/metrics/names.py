"""The stable name set: every metric the control port exposes, what it means, its labels and its unit.

docs/metrics.md is generated from it, dashboards and alert rules are tested against it, and nothing else is exposed.
A name that was released keeps its meaning: what changes gets a new one. No label takes a value that bots can invent.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

PREFIX: Final = "perpguard_"


class Type(StrEnum):
    """As Prometheus calls them. A counter only grows, until what counts it is started again."""

    GAUGE = "gauge"
    COUNTER = "counter"
    HISTOGRAM = "histogram"


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """One name, without the prefix; a counter's ends in ``_total``. ``unit`` is what a value of 1 is."""

    name: str
    type: Type
    help: str
    unit: str
    labels: tuple[str, ...] = ()

    @property
    def full_name(self) -> str:
        """As it is exposed."""
        return PREFIX + self.name


def _gauge(name: str, help: str, unit: str, *labels: str) -> Metric:
    return Metric(name=name, type=Type.GAUGE, help=help, unit=unit, labels=labels)


def _counter(name: str, help: str, unit: str, *labels: str) -> Metric:
    return Metric(name=name, type=Type.COUNTER, help=help, unit=unit, labels=labels)


ORDER_PATH: Final = (
    Metric(
        name="request_stage_seconds",
        type=Type.HISTOGRAM,
        help="How long each stage of a request took in its gate; the stage total is the whole request.",
        unit="seconds",
        labels=("gate", "kind", "stage"),
    ),
    _counter(
        "decisions_total",
        "Decisions on single commands; of a refused one the first rule and code, would_deny is shadow mode.",
        "decisions",
        "gate", "verdict", "rule", "code",
    ),
    _counter(
        "orders_total",
        "Commands that were cleared, by what became of them at the venue.",
        "commands",
        "gate", "account", "bot", "kind", "result",
    ),
    _counter(
        "requests_refused_total", "Requests turned away before they were judged.", "requests", "gate", "reason"
    ),
    _gauge("gate_sockets", "Open WebSockets of bots.", "sockets", "gate"),
    _gauge("gate_requests_under_way", "Orders and cancels on their way through the gate.", "requests", "gate"),
    _gauge("gate_up", "Whether the gate of this place holds its lease; after a minute without, its names are absent.",
           "yes (1) or no (0)", "gate"),
    _gauge("gates_alive", "Gates that hold their lease: heard by the store within two seconds.", "gates"),
    _gauge("gates_behind", "Gates alive that do not obey the newest generation of the latch yet.", "gates"),
)  # fmt: skip

KILL: Final = (
    _gauge("trading_state", "0: ACTIVE, 1: REDUCING, 2: HALTED. Without the store only what is halted.",
           "state", "level", "name"),
    _gauge("kill_running", "Whether a kill of this account is under way.", "yes (1) or no (0)", "account"),
    _gauge("latch_generation", "Generation of the kill latch on the warden's machine.", "generation"),
    _gauge("last_kill_time_seconds", "When the last kill of this account as a whole was pressed.", "seconds since 1970",
           "account"),
    _gauge("last_kill_blocked_seconds", "From that press until the fence of the warden's machine was closed.",
           "seconds", "account"),
    _gauge("last_kill_flat_seconds", "From that press until the venue read flat; absent when it did not.", "seconds",
           "account"),
    _gauge("last_kill_flat", "Whether that kill ended flat.", "yes (1) or no (0)", "account"),
    _gauge("last_bot_kill_time_seconds", "When the last kill of this bot's part of the account was pressed; absent, "
           "like the three below, once the whole account was killed after it.", "seconds since 1970", "account", "bot"),
    _gauge("last_bot_kill_blocked_seconds", "From that press until the fence of the warden's machine was closed.",
           "seconds", "account", "bot"),
    _gauge("last_bot_kill_flat_seconds", "From that press until the venue read flat; absent when it did not.",
           "seconds", "account", "bot"),
    _gauge("last_bot_kill_flat", "Whether that kill ended flat; absent while it is under way.", "yes (1) or no (0)",
           "account", "bot"),
    _gauge("drill_age_seconds", "Since the last rehearsal of the account whose says most against the desk: one that "
           "did not pass, else the oldest; absent when there was none.", "seconds"),
    _gauge("drill_passed", "Whether that rehearsal passed.", "yes (1) or no (0)"),
    _gauge("account_drill_age_seconds", "Since the last rehearsal that names this account; absent when there was none.",
           "seconds", "account"),
    _gauge("account_drill_passed", "Whether that rehearsal passed; no where there was none.", "yes (1) or no (0)",
           "account"),
    _gauge("watchdog_heard_age_seconds", "Since this watchdog was heard.", "seconds", "watchdog"),
    _gauge("watchdog_lost", "Whether this watchdog called once and does not any more.", "yes (1) or no (0)",
           "watchdog"),
    _gauge("lease_left_seconds", "Until the bot has to be heard again; below 0 when it was not.", "seconds",
           "account", "bot"),
)  # fmt: skip

ACCOUNTS: Final = (
    _gauge("feed_up", "Whether the account's private stream is live; absent where streams are off.",
           "yes (1) or no (0)", "account"),
    _gauge("feed_age_seconds", "Since the venue's last sign of life on the account's stream.", "seconds", "account"),
    _counter("feed_gaps_healed_total", "What surveys put right that the stream had not told.", "changes", "account"),
    _gauge("account_age_seconds", "Since the account was last known as it is judged: by a survey or by its stream.",
           "seconds", "account"),
    _gauge("survey_age_seconds", "Since the account was last read as a whole.", "seconds", "account"),
    _gauge("markets_age_seconds", "Since the oldest of the prices in use.", "seconds"),
    _gauge("clock_offset_seconds", "The venue's time less the warden's.", "seconds", "venue"),
    _gauge("exchange_key_sound", "Whether the exchange key has exactly the rights it should; absent when not known.",
           "yes (1) or no (0)", "account"),
    _gauge("external_trader", "Whether the account went on being traded past the guard after a kill.",
           "yes (1) or no (0)", "account"),
    _gauge("margin_balance", "Margin balance of the account.", "quote currency", "account"),
    _gauge("leverage", "Worst-case gross notional over margin balance, holds aside.", "ratio", "account"),
    _gauge("position_notional", "Signed notional of a position at mark price.", "quote currency",
           "account", "symbol", "position_side"),
    _gauge("open_orders", "Resting orders, plain or conditional.", "orders", "account", "kind"),
    _gauge("venue_timers", "Symbols on which the venue's own dead-man timer stands.", "symbols", "account"),
    _gauge("holds", "Holds by state: PENDING, ACCEPTED or UNKNOWN.", "holds", "account", "state"),
    _gauge("hold_age_seconds_max", "Since the last change of the stalest hold; an UNKNOWN one's is when it was made."
           " Holds of before another server became the store are left out.", "seconds", "account", "state"),
)  # fmt: skip

SIGNALS: Final = (
    _gauge("anomaly_score", "Anomaly score of the desk, an account or a bot.", "score, 0 to 1", "level", "name"),
    _gauge("forecast_probability", "The highest forecast as rules are told it, only of those whose like have held; "
           "until funding is due its horizon_s is funding.", "probability",
           "account", "forecast", "symbol", "horizon_s"),
    _gauge("leverage_temperature", "How crowded the leverage of a symbol is. It predicts nothing.", "0 to 100",
           "symbol"),
)  # fmt: skip

BUDGET: Final = (
    _gauge("venue_budget_used", "Used of what the venue grants in the present window.", "units of the limit",
           "venue", "limit", "whose"),
    _gauge("venue_budget_limit", "What the venue grants in one window.", "units of the limit",
           "venue", "limit", "whose"),
    _gauge("venue_budget_reserve", "Of that, what is kept for the kill.", "units of the limit",
           "venue", "limit", "whose"),
    _gauge("venue_silence_seconds", "Until the venue hears this source address again; absent when it does.", "seconds",
           "venue", "whose"),
)  # fmt: skip

STORE: Final = (
    _gauge("store_up", "Whether the store answered the warden.", "yes (1) or no (0)"),
    _gauge("store_answer_seconds", "How long the store took to answer one question of the warden.", "seconds"),
    _gauge("store_memory_bytes", "Memory the store uses.", "bytes"),
    _gauge("store_memory_limit_bytes", "Memory the store may use; 0 for no limit.", "bytes"),
    _gauge("store_clients", "Connections to the store.", "connections"),
    _gauge("store_append_only_sound", "Whether the store keeps an append-only file and its last write succeeded.",
           "yes (1) or no (0)"),
    _counter("store_evicted_keys_total", "Keys the store threw away for want of memory; has to stay 0.", "keys"),
    _counter("store_rejected_connections_total", "Connections the store refused.", "connections"),
    _gauge("audit_stream_records", "Records in the store's stream that are not in the archive yet.", "records"),
    _gauge("audit_lag_seconds", "Age of the oldest record that is not in the archive yet; 0 when all are.", "seconds"),
)  # fmt: skip

POLICY: Final = (
    _gauge("policy_info", "1 for the policy in force.", "1", "name", "owner", "version"),
    _gauge("policy_proposals", "Looser policies that wait for a second person or their time.", "policies"),
    _gauge("overrides", "Overrides that are asked for or in force.", "overrides", "state"),
)  # fmt: skip

PROCESSES: Final = (
    _gauge("build_info", "1 for the version that runs.", "1", "version", "python"),
    _gauge("process_start_time_seconds", "When the process was started.", "seconds since 1970", "process"),
    _gauge("process_resident_memory_bytes", "Memory of the process.", "bytes", "process"),
    _counter("process_cpu_seconds_total", "Processor time of the process, user and system.", "seconds", "process"),
    _gauge("process_open_fds", "Open files and sockets.", "files", "process"),
    _gauge("process_max_fds", "How many it may have.", "files", "process"),
    _gauge("source_up", "Whether this part of the metrics could be gathered; 0: its other names are absent.",
           "yes (1) or no (0)", "source"),
)  # fmt: skip

SECTIONS: Final[Mapping[str, tuple[Metric, ...]]] = {
    "Order path": ORDER_PATH,
    "Kill": KILL,
    "Accounts": ACCOUNTS,
    "Signals": SIGNALS,
    "Venue budget": BUDGET,
    "Store and audit": STORE,
    "Policy": POLICY,
    "Processes": PROCESSES,
}

METRICS: Final[Mapping[str, Metric]] = {metric.name: metric for part in SECTIONS.values() for metric in part}
"""Every metric by its name without the prefix."""
