"""What the guard uses of ccxt, whose packages load every exchange there is, at every start of a warden.

Everything else of their set-up runs as it is. The exchanges that are not ours are there by name and cannot be used.
Where somebody has loaded ccxt before, all of it is there already and stays.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Final, NoReturn

__all__ = ["BaseError", "binanceusdm", "binanceusdm_streams"]

_PACKAGES: Final = ("ccxt", "ccxt.async_support", "ccxt.pro")
"""Their modules are exchanges, one each; what these share is in packages within them."""

_OURS: Final = "binance"
_SHARED: Final = frozenset(
    {"abstract", "async_support", "base", "prediction", "pro", "protobuf", "static_dependencies"}
)


class _NotLoaded:
    """Stands for an exchange."""

    def __init__(self, *_: object) -> NoReturn:
        raise ImportError("of ccxt's exchanges the guard loads those of Binance alone")


class _LeftOut(MetaPathFinder, Loader):
    """Finds the exchanges that are not ours, before anybody finds their code."""

    def find_spec(self, name: str, _path: Sequence[str] | None, _target: ModuleType | None = None) -> ModuleSpec | None:
        package, _, last = name.rpartition(".")
        left_out = package in _PACKAGES and last not in _SHARED and not last.startswith(_OURS)
        return ModuleSpec(name, self) if left_out else None

    def exec_module(self, module: ModuleType) -> None:
        setattr(module, module.__name__.rpartition(".")[2], _NotLoaded)


@contextmanager
def _only_ours() -> Iterator[None]:
    left_out = _LeftOut()
    sys.meta_path.insert(0, left_out)
    try:
        yield
    finally:
        sys.meta_path.remove(left_out)


with _only_ours():
    from ccxt.async_support.binanceusdm import binanceusdm
    from ccxt.base.errors import BaseError
    from ccxt.pro.binanceusdm import binanceusdm as binanceusdm_streams
