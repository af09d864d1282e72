"""One row of what the exchange says, before anything is made of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

Row = Mapping[str, Any]
"""An object of the exchange's JSON, whose fields are as the exchange names and spells them."""
