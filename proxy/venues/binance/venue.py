"""What Binance USD-M futures are called here: in settings and vault, in the bots' URLs, in the record."""

from typing import Final

VENUE: Final = "binanceusdm"
