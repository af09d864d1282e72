"""Of ccxt's exchanges the guard loads its own, and those are whole."""

from __future__ import annotations

import subprocess
import sys

LOADED = """
import sys
from proxy.exchange import calls, client, stream
from proxy.exchange.ccxt_parts import BaseError, binanceusdm, binanceusdm_streams
import ccxt
files = {name for name, module in sys.modules.items() if name.startswith("ccxt.") and getattr(module, "__file__", None)}
strangers = [name for name in files if name.split(".")[-1] in ccxt.exchanges and ".binance" not in name]
assert strangers == [], strangers
assert len(sys.meta_path) == len(set(map(id, sys.meta_path))) and "_LeftOut" not in str(sys.meta_path)
assert issubclass(ccxt.ExchangeError, BaseError) and ccxt.binanceusdm and binanceusdm().id == "binanceusdm"
assert binanceusdm_streams().id == "binanceusdm" and issubclass(binanceusdm_streams, ccxt.async_support.binance)
try:
    ccxt.kraken()
except ImportError as refused:
    print(refused)
"""


def run(code: str) -> str:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120).stdout


def test_the_exchanges_of_others_are_names_alone():
    assert run(LOADED) == "of ccxt's exchanges the guard loads those of Binance alone\n"


def test_where_ccxt_was_loaded_before_it_stays_whole():
    code = "import ccxt, ccxt.pro\nfrom proxy.exchange.ccxt_parts import binanceusdm\n"
    assert (
        run(code + "print(ccxt.kraken().id, ccxt.pro.kraken().id, binanceusdm().id)") == "kraken kraken binanceusdm\n"
    )
