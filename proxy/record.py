"""How a part of the guard has something written down, without knowing who keeps the record."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

Record = Callable[[str, str, dict[str, Any]], Awaitable[None]]
"""Writes an event to the audit: what happened, by whom, and the details. Never raises for trouble outside."""
