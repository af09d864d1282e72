"""Where certificates lie: ``<data_dir>/certificates/ID.json``, the guard's public keys beside them.

A certificate is written once, on the disk before the call returns, and never replaced: two processes that certify the
same job end with one file. ``public.pem`` is the key in use, ``public-KEYID.pem`` each that was used before.
"""

from __future__ import annotations

import os
import re
import secrets
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from proxy.disk import sync_directory
from proxy.signatures.signing import BYTES_MAX, TrustedKey, trusted_key
from proxy.vault.signing_keys import SigningKey

_ID: Final = re.compile(r"[A-Za-z0-9-]{1,64}")
_ISSUED: Final = re.compile(r"[0-9]{8}T[0-9]{12}-[0-9a-f]{8}(?:-press)?")


def is_certificate_id(text: str) -> bool:
    """Whether a certificate can bear this name: it becomes part of a path."""
    return _ID.fullmatch(text) is not None


def id_in(name: str) -> str | None:
    """The id that a file's name says it is the certificate of, whatever stands around it; ``None`` without one."""
    found = _ISSUED.search(name)
    return found.group() if found is not None else None


class CertificateShelf:
    """The certificates of one data directory. Every method raises ``OSError`` for trouble with the disk."""

    def __init__(self, data_dir: Path) -> None:
        self._directory = data_dir / "certificates"

    @property
    def public_key_path(self) -> Path:
        """Where the public key in use is; it need not be there."""
        return self._directory / "public.pem"

    def path(self, certificate_id: str) -> Path:
        """Where a certificate is, or would be. ``ValueError`` for a name that none has."""
        if not is_certificate_id(certificate_id):
            raise ValueError("a certificate's id is 1 to 64 of A-Z a-z 0-9 -")
        return self._directory / f"{certificate_id}.json"

    def read(self, certificate_id: str) -> bytes | None:
        """The bytes of a certificate, at most one more than any has; ``None`` when there is none."""
        try:
            with self.path(certificate_id).open("rb") as file:
                return file.read(BYTES_MAX + 1)
        except FileNotFoundError:
            return None

    def ids(self) -> list[str]:
        """Every certificate, newest press first."""
        return sorted((path.stem for path in self._directory.glob("*.json") if _ID.fullmatch(path.stem)), reverse=True)

    def keep(self, certificate_id: str, content: bytes) -> bool:
        """Keep a certificate unless there is one; whether this one was kept."""
        self._prepare()
        path = self.path(certificate_id)
        with _written(path, content) as upcoming:
            try:
                path.hardlink_to(upcoming)  # Unlike a rename it leaves alone what is there.
            except FileExistsError:
                return False
        sync_directory(self._directory)
        return True

    def set_aside(self, certificate_id: str) -> None:
        """Give a damaged certificate another name, so that a sound one can take its place."""
        path = self.path(certificate_id)
        path.rename(path.with_suffix(".damaged"))
        sync_directory(self._directory)

    def publish(self, keys: Iterable[SigningKey]) -> None:
        """Write down the public halves of the keys there are, and nothing that is there already.

        A key that is none of ``keys`` stays, under its id: the vault may have been put back from before a rotation, and
        then nobody else has what checks that which was signed since.
        """
        self._prepare()
        known = list(keys)
        self._keep_unknown({key.key_id for key in known})
        for key in known:
            content = key.public_key.encode()
            self._put(self.public_key_path if key.retired_at is None else self._retired_path(key.key_id), content)

    def trusted_keys(self) -> tuple[TrustedKey, ...]:
        """The public keys that lie here, as believable as the directory is. ``ValueError`` for a damaged one."""
        return tuple(trusted_key(path.read_bytes()) for path in sorted(self._directory.glob("public*.pem")))

    def _keep_unknown(self, known: Collection[str]) -> None:
        try:
            content = self.public_key_path.read_bytes()
            key_id = trusted_key(content).key_id
        except (FileNotFoundError, ValueError):
            return  # There is no key that could be lost.
        if key_id not in known:
            self._put(self._retired_path(key_id), content)

    def _retired_path(self, key_id: str) -> Path:
        return self._directory / f"public-{key_id}.pem"

    def _put(self, path: Path, content: bytes) -> None:
        if not path.exists() or path.read_bytes() != content:
            with _written(path, content) as upcoming:
                upcoming.replace(path)
            sync_directory(self._directory)

    def _prepare(self) -> None:
        if not self._directory.is_dir():
            self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            sync_directory(self._directory.parent)


@contextmanager
def _written(path: Path, content: bytes) -> Iterator[Path]:
    """``content`` on the disk beside ``path``, under a name of its own, for several may be at it; gone at last."""
    upcoming = path.with_name(f"{path.name}.{secrets.token_hex(8)}")
    try:
        with os.fdopen(os.open(upcoming, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        yield upcoming
    finally:
        with suppress(FileNotFoundError):
            upcoming.unlink()
