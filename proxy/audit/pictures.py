"""What a decision was made on, put together again: its snapshot with the documents it names, and its policy.

Documents may be archived before or after the decisions that name them, so they are looked up by name and version.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from functools import lru_cache
from typing import Any, Final

import msgspec

from proxy.audit.documents import Document, RecordSource
from proxy.decoding import build
from proxy.policy.reading import PolicyError
from proxy.store.codec import plain
from rules.facts import AccountRecord
from rules.policy import Policy

ParsePolicy = Callable[[str], Policy]

UNREADABLE: Final = (msgspec.MsgspecError, KeyError, TypeError, ValueError, AttributeError, ArithmeticError)
"""What decoding a decision of another version, or of another hand, may raise. Deciding itself never raises."""

_POLICIES_KEPT: Final = 64


class DocumentMissing(Exception):
    """A document the decision rests on is not there: ``kind`` is the account, record, instruments or policy."""

    def __init__(self, kind: str, problem: str) -> None:
        super().__init__(problem)
        self.kind = kind


def resolved(record: dict[str, Any], source: RecordSource) -> dict[str, Any]:
    """The recorded snapshot with its documents back in their place. Raises ``DocumentMissing``."""
    picture = dict(record["snapshot"])
    at = str(record["at"])
    account, instruments, memory = picture.get("account"), picture.get("instruments"), picture.get("record")
    if isinstance(account, dict) and "$ref" in account:
        picture["account"] = _content(source, "account", str(account["$ref"]), at)
    if isinstance(instruments, dict) and "$ref" in instruments:
        picture["instruments"] = _chosen(source, str(instruments["$ref"]), instruments.get("symbols") or (), at)
    if isinstance(memory, dict) and "$ref" in memory:  # Decisions of before have it in full.
        whole = build(_content(source, "record", str(memory["$ref"]), at), AccountRecord)
        picture["record"] = plain(whole.concerning(picture["bot"], memory.get("symbols") or ()))
    return picture


def policies(source: RecordSource, parse_policy: ParsePolicy) -> Callable[[str], Policy]:
    """Finds a policy by its version in the record, and remembers the last few. It raises ``DocumentMissing``."""

    @lru_cache(maxsize=_POLICIES_KEPT)
    def policy_of(version: str) -> Policy:
        found = source.documents(f"policy:{version}@{version}")
        if not found:
            raise DocumentMissing("policy", f"policy {version} is missing")
        for document in found:
            try:
                policy = parse_policy(document.content["text"])
            except (PolicyError, KeyError, TypeError):
                continue
            if policy.version == version:
                return policy
        raise DocumentMissing("policy", f"the archived text of policy {version} is not that policy")

    return policy_of


def _chosen(source: RecordSource, reference: str, symbols: Any, at: str) -> dict[str, Any]:
    if not symbols:
        return {}  # Nothing was looked at, so the document is not needed.
    listed = _content(source, "instruments", reference, at)
    try:
        return {symbol: listed[symbol] for symbol in symbols}
    except (KeyError, TypeError) as error:
        raise DocumentMissing("instruments", f"{reference} does not list {error}") from error


def _content(source: RecordSource, kind: str, reference: str, at: str) -> Any:
    found = source.documents(reference)
    if not found:
        raise DocumentMissing(kind, f"document {reference} is missing")
    return _as_of(found, at).content


def _as_of(found: tuple[Document, ...], at: str) -> Document:
    # After a store lost its memory, versions may begin anew and one name stand for two states: the later one that the
    # decision can have seen is meant.
    moment = build(at, datetime)
    earlier = [document for document in found if document.at <= moment]
    return max(earlier, key=lambda document: document.at) if earlier else found[0]
