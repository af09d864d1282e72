"""Where the authority and the gates' certificate are kept: ``<data_dir>/tls``, files that are their owner's alone."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from proxy.disk import make_directory, replace_file
from proxy.tls.authority import KeyPair, names_in, new_authority, new_certificate
from proxy.tls.names import Names


class TlsMissing(Exception):
    """There is no certificate, or it cannot be used; the message says what to do."""


@dataclass(frozen=True, slots=True)
class TlsShelf:
    """The files of one data directory."""

    data_dir: Path

    @property
    def authority(self) -> Path:
        """The authority's certificate: what bots are told to trust."""
        return self.data_dir / "tls" / "ca.pem"

    @property
    def certificate(self) -> Path:
        """The gates' certificate and, in the same file, its key: replaced as one."""
        return self.data_dir / "tls" / "gate.pem"

    @property
    def _authority_key(self) -> Path:
        return self.data_dir / "tls" / "ca.key"

    def begin(self, names: Names, now: datetime) -> None:
        """A new authority with a first certificate. Raises ``FileExistsError`` where there is one, or ``OSError``."""
        if self.authority.exists():
            raise FileExistsError(f"{self.authority} is there; `perpguard tls renew` gives a new certificate")
        authority = new_authority(names, now)
        make_directory(self.authority.parent)
        replace_file(self._authority_key, authority.key)
        self._put(new_certificate(authority, names, now))
        # Last: with it there, everything is.
        replace_file(self.authority, authority.certificate)

    def renew(self, now: datetime) -> None:
        """A new certificate for the same names, under the same authority. Raises ``TlsMissing`` or ``OSError``."""
        try:
            authority = KeyPair(certificate=self.authority.read_bytes(), key=self._authority_key.read_bytes())
            renewed = new_certificate(authority, names_in(authority.certificate), now)
        except FileNotFoundError:
            raise TlsMissing(
                f"there is no authority in {self.authority.parent}; `perpguard tls init` makes one"
            ) from None
        except ValueError as trouble:
            raise TlsMissing(f"{self.authority.parent}: {trouble}") from trouble
        self._put(renewed)

    def _put(self, pair: KeyPair) -> None:
        replace_file(self.certificate, pair.certificate + pair.key)
