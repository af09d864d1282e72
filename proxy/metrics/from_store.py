"""How the store is, what is held in it, and how far the archive is behind its stream."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from proxy.metrics.sheet import Sheet
from proxy.store.health import StoreHealth
from rules.account import HoldStatus


def put_store(sheet: Sheet, health: StoreHealth, accounts: Iterable[str]) -> None:
    """The store, as it answered. Accounts without holds in a state have 0 of them."""
    sheet.put("store_up", 1)
    sheet.put("store_answer_seconds", health.answer_s)
    _put_info(sheet, health.info)
    sheet.put("audit_stream_records", health.waiting)
    sheet.put("audit_lag_seconds", health.lag_s)
    for account in accounts:
        for status in HoldStatus:
            sheet.put("holds", 0, account=account, state=status.value)
    for each in health.holds:
        sheet.put("holds", each.count, account=each.account, state=each.state)
        sheet.put("hold_age_seconds_max", each.age_s_max, account=each.account, state=each.state)


def _put_info(sheet: Sheet, info: Mapping[str, Any]) -> None:
    """Redis and Valkey name these alike; what a managed store leaves out is left out."""
    sheet.put("store_memory_bytes", info.get("used_memory"))
    sheet.put("store_memory_limit_bytes", info.get("maxmemory"))
    sheet.put("store_clients", info.get("connected_clients"))
    if "aof_enabled" in info:
        sound = bool(info["aof_enabled"]) and info.get("aof_last_write_status") == "ok"
        sheet.put("store_append_only_sound", sound)
    sheet.put("store_evicted_keys_total", info.get("evicted_keys"))
    sheet.put("store_rejected_connections_total", info.get("rejected_connections"))
