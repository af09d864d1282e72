"""A certificate authority for the gates' own names, and the certificates it gives. Pure but for the randomness of keys.

The authority may only vouch for those very names and addresses (RFC 5280, 4.2.1.10, name constraints): whoever steals
its key can pretend to be this gate, and nobody else, to the bots that trust it.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from proxy.tls.names import Names

AUTHORITY_LASTS: Final = timedelta(days=3650)
CERTIFICATE_LASTS: Final = timedelta(days=397)
"""The longest that browsers and strict clients take."""

_BEGINS_BEFORE: Final = timedelta(hours=1)
"""Clients whose clocks are behind must not refuse a new certificate."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyPair:
    """A certificate and its private key, both PEM."""

    certificate: bytes
    key: bytes

    def __repr__(self) -> str:
        return "KeyPair()"  # The key is in it.


def new_authority(names: Names, now: datetime) -> KeyPair:
    """An authority for ``names`` and nothing else."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"perpguard authority of {names.dns[0]}")])
    permitted: list[x509.GeneralName] = [x509.DNSName(name) for name in names.dns]
    permitted += [x509.IPAddress(ip_network(address)) for address in names.addresses]
    certificate = (
        _begun(subject, subject, key.public_key(), now, AUTHORITY_LASTS)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(signs_certificates=True), critical=True)
        .add_extension(x509.NameConstraints(permitted, None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    return _pair(certificate, key)


def new_certificate(authority: KeyPair, names: Names, now: datetime) -> KeyPair:
    """A server's certificate for ``names``. Raises ``ValueError`` for names the authority may not vouch for."""
    issuer = x509.load_pem_x509_certificate(authority.certificate)
    issuer_key = serialization.load_pem_private_key(authority.key, None)
    if not isinstance(issuer_key, ec.EllipticCurvePrivateKey):
        raise ValueError("the authority's key is not one that perpguard makes")
    strangers = [name for name in names.dns if x509.DNSName(name) not in _permitted(issuer)]
    strangers += [str(each) for each in names.addresses if x509.IPAddress(ip_network(each)) not in _permitted(issuer)]
    if strangers:
        raise ValueError(f"this authority may not vouch for {', '.join(strangers)}: make a new one")
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, names.dns[0][:64])])
    alternatives: list[x509.GeneralName] = [x509.DNSName(name) for name in names.dns]
    alternatives += [x509.IPAddress(address) for address in names.addresses]
    certificate = (
        _begun(subject, issuer.subject, key.public_key(), now, CERTIFICATE_LASTS)
        .add_extension(x509.SubjectAlternativeName(alternatives), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(signs_certificates=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key()), critical=False)
        .sign(issuer_key, hashes.SHA256())
    )
    return _pair(certificate, key)


def ends_at(certificate: bytes) -> datetime:
    """When a PEM certificate ends. Raises ``ValueError``."""
    return x509.load_pem_x509_certificate(certificate).not_valid_after_utc


def fingerprint(certificate: bytes) -> str:
    """A PEM certificate's SHA-256, for people to compare."""
    return x509.load_pem_x509_certificate(certificate).fingerprint(hashes.SHA256()).hex(":")


def names_in(authority: bytes) -> Names:
    """What an authority may vouch for. Raises ``ValueError``."""
    permitted = _permitted(x509.load_pem_x509_certificate(authority))
    return Names(
        dns=tuple(each.value for each in permitted if isinstance(each, x509.DNSName)),
        addresses=tuple(
            each.value.network_address
            for each in permitted
            if isinstance(each, x509.IPAddress) and isinstance(each.value, IPv4Network | IPv6Network)
        ),
    )


def _permitted(authority: x509.Certificate) -> list[x509.GeneralName]:
    try:
        constraints = authority.extensions.get_extension_for_class(x509.NameConstraints).value
    except x509.ExtensionNotFound:
        raise ValueError("not an authority that perpguard made") from None
    return list(constraints.permitted_subtrees or ())


def _begun(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, now: datetime, lasts: timedelta
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _BEGINS_BEFORE)
        .not_valid_after(now + lasts)
    )


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        encipher_only=False,
        decipher_only=False,
    )


def _pair(certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey) -> KeyPair:
    return KeyPair(
        certificate=certificate.public_bytes(serialization.Encoding.PEM),
        key=key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        ),
    )
