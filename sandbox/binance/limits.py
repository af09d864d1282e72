"""Count request weight per caller and orders per account, and refuse when a window is full. Bans are in `bans.py`."""

from __future__ import annotations

from dataclasses import dataclass, field

from sandbox.binance.bans import Bans, RateLimited

WEIGHT_PER_MINUTE = 2_400
ORDERS_PER_10S = 300
ORDERS_PER_MINUTE = 1_200
NO_LIMIT = 1_000_000_000
"""What is listed where a limit of 0 counts without refusing: more than anybody can spend."""
# Callers are loopback addresses and a handful of accounts; the bound is only a promise.
_COUNTERS_MAX = 1_000


@dataclass(slots=True)
class WindowCounter:
    """Counts per key in fixed windows of `window_ms`. A `limit` of 0 counts without refusing."""

    window_ms: int
    limit: int
    _window: int = -1
    _counts: dict[str, int] = field(default_factory=dict)

    def add(self, key: str, amount: int, now_ms: int) -> int:
        """Count `amount` and return the window's total for `key`, the new amount included."""
        window = now_ms // self.window_ms
        if window != self._window or len(self._counts) > _COUNTERS_MAX:
            self._window = window
            self._counts.clear()
        self._counts[key] = self._counts.get(key, 0) + amount
        return self._counts[key]

    @property
    def listed(self) -> int:
        """The limit as the venue's listing tells it."""
        return self.limit or NO_LIMIT

    def over(self, total: int) -> bool:
        """True when a total is above the limit."""
        return self.limit > 0 and total > self.limit

    def retry_after(self, now_ms: int) -> int:
        """Whole seconds until the present window ends, at least one."""
        return max(1, (self.window_ms - now_ms % self.window_ms + 999) // 1000)


class RateLimits:
    """The venue's three windows. Headers are returned as they are to be sent."""

    def __init__(self, weight_limit: int, order_limit: int) -> None:
        self.bans = Bans()
        self.weight = WindowCounter(60_000, weight_limit)
        self.orders_10s = WindowCounter(10_000, order_limit)
        # 300 per 10 s go with 1200 per minute on the venue; the ratio is kept when the limit is changed.
        self.orders_1m = WindowCounter(60_000, order_limit * ORDERS_PER_MINUTE // ORDERS_PER_10S)

    def charge_weight(self, caller: str, weight: int, now_ms: int) -> list[tuple[str, str]]:
        """Count a request of `caller` (an address); raises `RateLimited` above the limit."""
        total = self.weight.add(caller, weight, now_ms)
        if self.weight.over(total):
            self.bans.count_refusal(caller, now_ms)
            raise RateLimited(
                -1003,
                f"Too many requests; current limit of IP({caller}) is {self.weight.limit} requests per minute. "
                "Please use the websocket for live updates to avoid polling the API.",
                self.weight.retry_after(now_ms),
            )
        return [("x-mbx-used-weight-1m", str(total))]

    def usage(self, caller: str, account: str | None, now_ms: int) -> list[dict[str, object]]:
        """The windows as frames of the trading socket carry them; those of orders only when an account is named."""
        windows: list[tuple[str, str, int, WindowCounter, str]] = []
        if account is not None:
            windows.append(("ORDERS", "SECOND", 10, self.orders_10s, account))
            windows.append(("ORDERS", "MINUTE", 1, self.orders_1m, account))
        windows.append(("REQUEST_WEIGHT", "MINUTE", 1, self.weight, caller))
        return [
            {
                "rateLimitType": kind,
                "interval": interval,
                "intervalNum": number,
                "limit": counter.listed,
                "count": counter.add(key, 0, now_ms),
            }
            for kind, interval, number, counter, key in windows
        ]

    def charge_orders(self, account: str, orders: int, now_ms: int) -> list[tuple[str, str]]:
        """Count `orders` placements or amendments of `account`; raises `RateLimited` above a limit."""
        ten_seconds = self.orders_10s.add(account, orders, now_ms)
        minute = self.orders_1m.add(account, orders, now_ms)
        for counter, total, name in ((self.orders_10s, ten_seconds, "10s"), (self.orders_1m, minute, "1m")):
            if counter.over(total):
                message = f"Too many new orders; current limit is {counter.limit} orders per {name}."
                raise RateLimited(-1015, message, counter.retry_after(now_ms))
        return [("x-mbx-order-count-10s", str(ten_seconds)), ("x-mbx-order-count-1m", str(minute))]
