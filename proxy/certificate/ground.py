"""On what ground a certificate is issued: the policy in force here, and how far the audit's chain has come.

Both are read from this machine's files, so that a kill without a warden knows them too. What cannot be read is "not
known", with the reason; it never keeps a certificate from being issued.
"""

from __future__ import annotations

import hashlib
from datetime import datetime
from importlib.metadata import version
from pathlib import Path

from proxy.audit.place import ArchiveUnavailable, archive_place
from proxy.audit.reader import ArchiveReader
from proxy.certificate.content import AuditHead, Issue, PolicyInForce
from proxy.policy.shelf import Shelf
from proxy.signatures.canonical import spelled


def issue_at(data_dir: Path, at: datetime, key_id: str) -> Issue:
    """The ground of a certificate issued now."""
    return Issue(
        at=spelled(at),
        key_id=key_id,
        guard_version=version("perpguard"),
        policy=_policy(Shelf(data_dir).active_path),
        audit=_audit_head(data_dir),
    )


def _policy(path: Path) -> PolicyInForce:
    try:
        # The digest is that of the text, as everywhere: ``proxy.policy.reading.policy_digest`` is its start.
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return PolicyInForce(digest=None, not_known="no policy was ever in force in this data directory")
    except (OSError, UnicodeDecodeError) as trouble:
        return PolicyInForce(digest=None, not_known=f"its file cannot be read: {type(trouble).__name__}")
    return PolicyInForce(digest=hashlib.sha256(text.encode()).hexdigest(), not_known="")


def _audit_head(data_dir: Path) -> AuditHead:
    try:
        place = archive_place(data_dir)
        if place.url is None and not place.database.exists():
            return _not_known("there is no archive in this data directory")
        with ArchiveReader.open(place) as archive:
            head = archive.head()
            return AuditHead(archive=archive.archive_id, sequence=head.seq, head=head.hash.hex(), not_known="")
    except ArchiveUnavailable as trouble:
        return _not_known(type(trouble).__name__)


def _not_known(reason: str) -> AuditHead:
    return AuditHead(archive=None, sequence=None, head=None, not_known=reason)
