"""A desk's own rules: one line of CEL in the policy becomes a rule of the engine.

[desk.custom.no_weekend_shorts]     # also [account.NAME.custom.NAME], [bot. ...], [symbol. ...]
enforcement = "enforce"
expression = "order.side == 'BUY' || !(now.getDayOfWeek() in [0, 6])"
message = "no shorts over the weekend"

What may be written is a part of CEL: the names of ``rules.custom_fields``, literals, operators and a few functions.
There is no loop and no call that could take long, so an expression is evaluated in time that its length bounds.
Whatever is wrong with one is found here, when the policy is read. Library and bounds:
docs/decisions/0014-cel-library.md
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache
from typing import Any, Final

from proxy.policy.custom_samples import samples
from rules.custom import CustomRule, Question
from rules.custom_fields import FIELDS, NOW, Entry, Field
from rules.decision import Enforcement
from rules.snapshot import Snapshot

EXPRESSION_MAX: Final = 500
MESSAGE_MAX: Final = 200
FUNCTIONS: Final = frozenset(
    {"size", "int", "double", "string", "contains", "startsWith", "endsWith"}
    | {"getDayOfWeek", "getDayOfMonth", "getMonth", "getHours", "getMinutes"}
)

_NAME: Final = re.compile(r"[a-z][a-z0-9_]{0,39}")
_SETTINGS: Final = ("enforcement", "expression", "message")
_WORDS: Final = frozenset({"true", "false", "null", "in"})
_TOKEN: Final = re.compile(
    r"""\s*(?:(?P<text>"[^"\\]*"|'[^'\\]*')|(?P<number>[0-9]+(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?)"""
    r"""|(?P<word>[A-Za-z_][A-Za-z0-9_]*)|(?P<sign>&&|\|\||[=!<>]=|[-+*/%!<>?:(),.\[\]]))"""
)
_ENDS_A_VALUE: Final = ("text", "number", "word")

Path = tuple[str, str]
"""A root and a name under it."""


def read_custom_rules(tables: object, level: str) -> Iterator[CustomRule]:
    """The rules of one level's ``custom`` table. Raises ``ValueError`` that names the rule and what is wrong."""
    if not isinstance(tables, dict):
        raise ValueError("must hold tables, one for each rule: custom.NAME")
    for name, settings in tables.items():
        try:
            yield _read(name, settings, level)
        except ValueError as error:
            raise ValueError(f"{name}: {error}") from error


def _read(name: str, settings: object, level: str) -> CustomRule:
    if not _NAME.fullmatch(name):
        raise ValueError("a name is a small letter, then up to 39 small letters, digits and underscores")
    if not isinstance(settings, dict):
        raise ValueError("must be a table")
    for key in settings:
        if key not in _SETTINGS:
            raise ValueError(f'has no "{key}"{_meant(key, _SETTINGS)}')
    if settings.get("enforcement") not in list(Enforcement):
        raise ValueError('needs enforcement = "enforce", "report" or "off"')
    expression, message = settings.get("expression"), settings.get("message")
    if not isinstance(expression, str):
        raise ValueError('needs expression = "..."')
    if not isinstance(message, str) or not message.strip() or len(message) > MESSAGE_MAX or not message.isprintable():
        raise ValueError(f'needs message = "...", one line of at most {MESSAGE_MAX} characters')
    return CustomRule(
        name=name,
        level=level,
        enforcement=Enforcement(settings["enforcement"]),
        expression=expression,
        message=message,
        question=compile_expression(expression),
    )


@lru_cache(maxsize=256)
def compile_expression(expression: str) -> Question:
    """What ``expression`` asks, as a function of an entry and its snapshot. Raises ``ValueError``.

    It is tried on orders of every kind before it is let in: an expression that cannot be evaluated for one of them, or
    says something else than true or false, is refused now and not when that order comes.
    """
    paths, moment = _named(expression)
    # Not at the top: the library brings a command line of its own along, and most policies have no rule of this kind.
    import cel

    try:
        program = cel.compile(expression)
    except ValueError as error:
        raise ValueError(f"not an expression: {str(error).splitlines()[0][:MESSAGE_MAX]}") from error
    unknown = sorted(set(program.variables()) - {NOW, *FIELDS})
    if unknown:
        raise ValueError(f"knows no {unknown[0]}")
    question = _question(program.execute, paths, moment)
    _try_out(question)
    return question


def _question(execute: Callable[[Any], Any], paths: frozenset[Path], moment: bool) -> Question:
    fields: list[tuple[str, str, Field]] = [(root, name, FIELDS[root][name]) for root, name in sorted(paths)]

    def question(entry: Entry, snapshot: Snapshot) -> object:
        shown: dict[str, Any] = {NOW: snapshot.now} if moment else {}
        for root, name, field in fields:
            shown.setdefault(root, {})[name] = field(entry, snapshot)
        try:
            return execute(shown)
        except Exception:
            raise
        except BaseException as panic:  # A panic of the Rust library is no ``Exception``; to the engine it must be one.
            if type(panic).__name__ == "PanicException":
                raise RuntimeError("the expression's evaluation broke down") from panic
            raise

    return question


def _named(expression: str) -> tuple[frozenset[Path], bool]:
    """The names an expression uses, and whether ``now`` is one. Raises ``ValueError`` for what may not be written."""
    if not expression.strip() or len(expression) > EXPRESSION_MAX:
        raise ValueError(f"expression must have 1 to {EXPRESSION_MAX} characters")
    if not (expression.isascii() and expression.isprintable()):
        raise ValueError("expression must be one line of plain ASCII")
    tokens = [*_tokens(expression)]
    paths: set[Path] = set()
    moment = False
    for place, (kind, written) in enumerate(tokens):
        before = tokens[place - 1] if place else ("", "")
        after = tokens[place + 1][1] if place + 1 < len(tokens) else ""
        if written == "[" and ((before[0] in _ENDS_A_VALUE and before[1] != "in") or before[1] in (")", "]")):
            raise ValueError("a list may be written, but not looked up with [ ]")
        if kind != "word" or written in _WORDS:
            continue
        if after == "(":
            if written not in FUNCTIONS:
                raise ValueError(f"has no function {written}{_meant(written, FUNCTIONS)}")
        elif before[1] == ".":
            root = tokens[place - 2][1] if place > 1 else ""
            if (root, written) not in paths:
                raise ValueError(f"{root} has nothing called {written}")
        elif written == NOW:
            moment = True
        elif written not in FIELDS:
            raise ValueError(f"knows no {written}{_meant(written, (*FIELDS, NOW))}")
        else:
            paths.add((written, _field_after(written, tokens[place + 1 : place + 3])))
    return frozenset(paths), moment


def _field_after(root: str, following: list[tuple[str, str]]) -> str:
    if len(following) < 2 or following[0][1] != "." or following[1][0] != "word":
        raise ValueError(f"{root} needs a name after it, such as {root}.{next(iter(FIELDS[root]))}")
    name = following[1][1]
    if name not in FIELDS[root]:
        raise ValueError(f"{root} has no {name}{_meant(name, FIELDS[root])}")
    return name


def _tokens(expression: str) -> Iterator[tuple[str, str]]:
    end = 0
    stripped = expression.rstrip()
    while end < len(stripped):
        found = _TOKEN.match(stripped, end)
        if found is None:
            raise ValueError(f"cannot be read at {stripped[end:].strip()[:20]}")
        yield str(found.lastgroup), found[str(found.lastgroup)]
        end = found.end()


def _try_out(question: Question) -> None:
    for entry, snapshot, words in samples():
        try:
            answer = question(entry, snapshot)
        except Exception as error:  # Whatever the library raises, the expression cannot be evaluated.
            reason = (str(error) or type(error).__name__).splitlines()[0]
            raise ValueError(f"cannot be evaluated for {words}: {reason}") from error
        if type(answer) is not bool:
            raise ValueError(f"is a {type(answer).__name__} for {words}, neither true nor false")


def _meant(word: str, known: Iterable[str]) -> str:
    close = difflib.get_close_matches(word, list(known), n=1)
    return f'; did you mean "{close[0]}"?' if close else f"; known are {', '.join(sorted(known))}"
