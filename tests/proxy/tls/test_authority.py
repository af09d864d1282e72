"""The gates' own authority: what it vouches for, what it may not, and what is kept where."""

from __future__ import annotations

import socket
import ssl
import stat
import threading
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization

from proxy.gate.https import Greeting
from proxy.tls.authority import KeyPair, ends_at, names_in, new_authority, new_certificate
from proxy.tls.names import BadName, Names, names_of
from proxy.tls.shelf import TlsMissing, TlsShelf

NOW = datetime.now(UTC).replace(microsecond=0)
OURS = names_of("guard.lan", ("10.0.0.7", "guard.example"))


def greet(context: ssl.SSLContext, trusted: bytes, name: str) -> str:
    """Who is greeted under ``name`` by a client that trusts ``trusted``; what the client says of it."""
    there, here = socket.socketpair()

    def serve() -> None:
        try:
            with context.wrap_socket(there, server_side=True) as served:
                served.recv(1)
        except OSError:
            there.close()

    server = threading.Thread(target=serve)
    server.start()
    client = ssl.create_default_context(cadata=trusted.decode())
    try:
        with client.wrap_socket(here, server_hostname=name) as greeted:
            greeted.send(b"x")
            return str(greeted.version())
    except ssl.SSLCertVerificationError as trouble:
        return trouble.verify_message
    finally:
        here.close()
        server.join()


def context_of(pair: KeyPair, tmp_path: Path) -> ssl.SSLContext:
    path = tmp_path / "pair.pem"
    path.write_bytes(pair.certificate + pair.key)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(path)
    return context


@pytest.mark.parametrize(
    "name", ["fapi.guard.lan", "demo-fapi.guard.lan", "guard.lan", "localhost", "127.0.0.1", "10.0.0.7"]
)
def test_a_strict_client_takes_the_certificate_under_each_name(tmp_path: Path, name: str) -> None:
    authority = new_authority(OURS, NOW)
    context = context_of(new_certificate(authority, OURS, NOW), tmp_path)
    assert greet(context, authority.certificate, name) == "TLSv1.3"


def test_under_another_name_it_is_refused(tmp_path: Path) -> None:
    authority = new_authority(OURS, NOW)
    context = context_of(new_certificate(authority, OURS, NOW), tmp_path)
    assert "Hostname mismatch" in greet(context, authority.certificate, "fapi.binance.com")


def test_whoever_steals_the_authority_can_pretend_to_be_nobody_else(tmp_path: Path) -> None:
    authority = new_authority(OURS, NOW)
    theirs = Names(dns=("fapi.binance.com",), addresses=())
    with pytest.raises(ValueError, match="may not vouch for fapi"):
        new_certificate(authority, theirs, NOW)
    # A thief does not ask our code: the same authority, its limits unheeded.
    thief = new_certificate(_with_names(authority, theirs), theirs, NOW)
    assert "permitted subtree violation" in greet(
        context_of(thief, tmp_path), authority.certificate, "fapi.binance.com"
    )


def _with_names(authority: KeyPair, names: Names) -> KeyPair:
    """An authority of the same key and subject that says it may vouch for ``names``."""
    known = x509.load_pem_x509_certificate(authority.certificate)
    key = serialization.load_pem_private_key(authority.key, None)
    forged = new_authority(names, NOW)
    made = x509.load_pem_x509_certificate(forged.certificate)
    builder = (
        x509.CertificateBuilder()
        .subject_name(known.subject)
        .issuer_name(known.subject)
        .public_key(known.public_key())
        .serial_number(made.serial_number)
        .not_valid_before(made.not_valid_before_utc)
        .not_valid_after(made.not_valid_after_utc)
    )
    for extension in made.extensions:
        if not isinstance(extension.value, x509.SubjectKeyIdentifier):
            builder = builder.add_extension(extension.value, extension.critical)
    from cryptography.hazmat.primitives import hashes

    signed = builder.sign(key, hashes.SHA256())  # type: ignore[arg-type]
    return KeyPair(certificate=signed.public_bytes(serialization.Encoding.PEM), key=authority.key)


@pytest.mark.parametrize("text", ["", "a b", "-a", "a-", "a..b", "*.lan", "a_b", "ü.lan", "a" * 64, "x." * 125 + "x"])
def test_what_is_no_name_is_refused(text: str) -> None:
    with pytest.raises(BadName):
        names_of(text)


def test_it_lasts_as_long_as_strict_clients_take_and_begins_an_hour_ago() -> None:
    certificate = new_certificate(new_authority(OURS, NOW), OURS, NOW).certificate
    assert ends_at(certificate) == NOW + timedelta(days=397)
    assert x509.load_pem_x509_certificate(certificate).not_valid_before_utc == NOW - timedelta(hours=1)


def test_keys_are_their_owners_alone_and_in_no_repr(tmp_path: Path) -> None:
    shelf = TlsShelf(tmp_path)
    shelf.begin(OURS, NOW)
    assert stat.S_IMODE((tmp_path / "tls").stat().st_mode) == 0o700
    assert {path.name: stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "tls").iterdir()} == dict.fromkeys(
        ("ca.pem", "ca.key", "gate.pem"), 0o600
    )
    assert "PRIVATE" not in repr(new_authority(OURS, NOW))


def test_an_authority_is_never_overwritten_and_renewing_keeps_its_names(tmp_path: Path) -> None:
    shelf = TlsShelf(tmp_path)
    with pytest.raises(TlsMissing, match="tls init"):
        shelf.renew(NOW)
    shelf.begin(OURS, NOW)
    authority, first = shelf.authority.read_bytes(), shelf.certificate.read_bytes()
    with pytest.raises(FileExistsError):
        shelf.begin(OURS, NOW)
    shelf.renew(NOW + timedelta(days=300))
    assert (shelf.authority.read_bytes(), shelf.certificate.read_bytes() == first) == (authority, False)
    assert ends_at(shelf.certificate.read_bytes()) == NOW + timedelta(days=697)
    assert names_in(authority) == OURS
    assert ip_address("10.0.0.7") in OURS.addresses


def test_a_renewed_certificate_is_taken_up_and_a_broken_one_is_not(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    shelf = TlsShelf(tmp_path)
    with pytest.raises(TlsMissing, match="tls init"):
        Greeting(shelf)
    shelf.begin(OURS, NOW)
    greeting = Greeting(shelf)

    def served() -> bytes:
        return _leaf(greeting.context, shelf.authority.read_bytes())

    first = served()
    shelf.renew(NOW)
    assert served() == first
    greeting.look()
    second = served()
    assert second != first
    renewed = shelf.certificate.read_bytes()
    key_at, certificate_end = renewed.index(b"-----BEGIN PRIVATE"), b"-----END CERTIFICATE-----\n"
    shelf.renew(NOW)
    strange = shelf.certificate.read_bytes()
    alone = strange[: strange.index(certificate_end)] + certificate_end
    for broken in (b"rubbish", alone, alone + renewed[key_at:], strange[:-60]):
        caplog.clear()
        shelf.certificate.write_bytes(broken)
        greeting.look()
        assert served() == second, broken[-60:]
        assert "the old one goes on" in caplog.text


def _leaf(context: ssl.SSLContext, trusted: bytes) -> bytes:
    """The certificate that a client is shown."""
    there, here = socket.socketpair()
    server = threading.Thread(target=lambda: context.wrap_socket(there, server_side=True).close())
    server.start()
    client = ssl.create_default_context(cadata=trusted.decode())
    with client.wrap_socket(here, server_hostname="guard.lan") as greeted:
        found = greeted.getpeercert(binary_form=True)
    server.join()
    assert found is not None
    return found


def test_a_look_that_the_system_refuses_ends_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    shelf = TlsShelf(tmp_path)
    shelf.begin(OURS, NOW)
    greeting = Greeting(shelf)
    first = _leaf(greeting.context, shelf.authority.read_bytes())

    def refused(path: Path) -> None:
        raise PermissionError(13, "Permission denied")

    with monkeypatch.context() as patch:
        patch.setattr("proxy.gate.https.identity_of", refused)
        greeting.look()
        with pytest.raises(TlsMissing, match="PermissionError"):
            Greeting(shelf)
    assert "the old one goes on: " in caplog.text
    shelf.renew(NOW)
    greeting.look()
    assert _leaf(greeting.context, shelf.authority.read_bytes()) != first
