"""What htmx logs when the page itself calls a request off: no complaint."""

from __future__ import annotations

from typing import Final

CALLED_OFF: Final = ("htmx:sendAbort", "htmx:afterRequest")
"""How such a message begins."""
