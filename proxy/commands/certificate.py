"""``perpguard certificate ...``: check certificates anywhere, list and show this guard's own, its keys.

``verify`` needs the file and a public key, nothing else. Exit codes: 0 as it should be, 1 not, 2 the question could not
be asked.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Final

from proxy.audit.since import UsageError
from proxy.certificate.content import PressCertificate
from proxy.certificate.proof import NotProven
from proxy.certificate.shelf import CertificateShelf, id_in, is_certificate_id
from proxy.certificate.verifying import OfAnotherKill, read, verify
from proxy.certificate.words import details, findings, head
from proxy.clock import utc_now
from proxy.commands.answering import answered_by_the_record
from proxy.commands.arguments import Arguments
from proxy.commands.exit_codes import NOT_OK, OK
from proxy.commands.terminal_tables import complain, print_table, say
from proxy.signatures.signing import BYTES_MAX, NotGenuine, TrustedKey, trusted_key
from proxy.terminal import show_json
from proxy.vault.opening import open_vault, person_here

_NAME: Final = "certificate"
_PEM_BYTES_MAX: Final = 4096


def add_arguments(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add ``certificate`` and its subcommands to the global command line."""
    certificate = subparsers.add_parser(_NAME, help="what kills did, signed; check it anywhere with a public key")
    actions = certificate.add_subparsers(dest="certificate_command", required=True)
    check = actions.add_parser("verify", help="is this what the guard signed, and does it prove what it says?")
    check.add_argument("file", type=Path, metavar="FILE")
    check.add_argument(
        "--public-key",
        type=Path,
        action="append",
        metavar="PEM",
        help="a key you trust, more than once for several; default: those in this data directory",
    )
    check.add_argument("--require-flat", action="store_true", help="1 too when it proves anything but FLAT")
    listing = actions.add_parser("list", help="every certificate here, newest first")
    show = actions.add_parser("show", help="one certificate, in words")
    show.add_argument("id", metavar="ID")
    key = actions.add_parser("key", help="the public key that certificates are checked with")
    rotate = actions.add_parser("rotate-key", help="sign with a new key; certificates of the old one stay good")
    rotate.add_argument("--passphrase-file", type=Path, help="a file only you can read")
    for action in (check, listing, show, key):
        action.add_argument("--json", action="store_true", help="print JSON")


def run(args: Arguments) -> int:
    """Run one ``certificate`` command and give its exit code; trouble goes to standard error."""
    return answered_by_the_record(_NAME, lambda: _COMMANDS[args.certificate_command](args))


def _verify(args: Arguments) -> int:
    keys = _keys(args)
    with args.file.open("rb") as file:
        content: bytes = file.read(BYTES_MAX + 1)

    def beside(job: str) -> bytes | None:
        path: Path = args.file.with_name(f"{job}.json")
        if not is_certificate_id(job) or not path.is_file():
            return None
        with path.open("rb") as other:
            return other.read(BYTES_MAX + 1)

    try:
        verified = verify(content, keys, beside, expected_id=id_in(args.file.name))
    except (NotGenuine, NotProven) as trouble:
        genuine = isinstance(trouble, NotProven | OfAnotherKill)
        if args.json:
            show_json({"verified": False, "genuine": genuine, "problem": str(trouble)})
        else:
            say(f"NOT VERIFIED: {trouble}")
        return NOT_OK
    sentences = findings(verified)
    if args.json:
        row = head(verified.certificate)
        show_json({"verified": True, "genuine": True, **row, "proves_flat": verified.proves_flat, "words": sentences})
    else:
        for line in sentences:
            say(line)
    return OK if verified.proves_flat or not args.require_flat else NOT_OK


def _list(args: Arguments) -> int:
    shelf = CertificateShelf(args.data_dir)
    ids = shelf.ids()
    keys = _keys(args) if ids else ()
    rows = []
    for certificate_id in ids:
        try:
            rows.append(head(read(shelf.read(certificate_id) or b"", keys, certificate_id)) | {"problem": ""})
        except NotGenuine as trouble:
            rows.append({"id": certificate_id, "problem": str(trouble)})
    if args.json:
        show_json(rows)
        return OK
    if not rows:
        say(f"there is no certificate in {shelf.public_key_path.parent} yet: the first kill leaves one")
    columns = ("id", "kind", "subject", "phase", "pressed_at", "by", "problem")
    print_table(columns, [[str(row.get(column, "")) for column in columns] for row in rows])
    return OK


def _show(args: Arguments) -> int:
    shelf = CertificateShelf(args.data_dir)
    content = shelf.read(args.id) if is_certificate_id(args.id) else None
    if content is None:
        complain(f"there is no certificate {args.id}", _NAME)
        return NOT_OK
    try:
        verified = verify(content, _keys(args), shelf.read, expected_id=args.id)
    except (NotGenuine, NotProven) as trouble:
        complain(f"{args.id} does not verify: {trouble}", _NAME)
        return NOT_OK
    if args.json:
        _write_as_it_is(content)
        return OK
    certificate = verified.certificate
    for line in findings(verified):
        say(line)
    if isinstance(certificate, PressCertificate):
        print_table(
            ("account", "job", "phase"), [(each.account, each.job, each.phase) for each in certificate.accounts]
        )
        return OK
    print_table(
        ("step", "at", "what", "details"),
        [
            (str(number), str(step["at"]), str(step["type"]), details(step))
            for number, step in enumerate(certificate.steps)
        ],
    )
    return OK


def _write_as_it_is(content: bytes) -> None:
    """Byte for byte into a pipe or file, where it verifies again; made safe for a terminal."""
    if sys.stdout.isatty():
        say(content.decode().rstrip("\n"))
        return
    sys.stdout.buffer.write(content)
    sys.stdout.buffer.flush()


def _key(args: Arguments) -> int:
    path = CertificateShelf(args.data_dir).public_key_path
    pem = _read_pem(path) if path.is_file() else None
    if pem is None:
        raise UsageError(f"there is no key in {path.parent} yet: `perpguard up` makes one, and so does the first kill")
    key = _trusted(path, pem)
    if args.json:
        show_json({"key_id": key.key_id, "public_key": pem.decode("ascii"), "path": str(path)})
    else:
        say(f"key {key.key_id}")
        for line in pem.decode("ascii").splitlines():
            say(line)
    return OK


def _rotate(args: Arguments) -> int:
    # It reads the archive; whoever checks a certificate anywhere needs none.
    from proxy.certificate.keeping import CertificateKeeper

    vault = open_vault(args.data_dir, environment=os.environ, file=args.passphrase_file, prompt=person_here())
    vault.rotate_signing_key(utc_now())
    keeper = CertificateKeeper(args.data_dir, vault, utc_now)
    key = keeper.publish_key()
    say(f"certificates are signed by the key {key.key_id} from now on")
    say(f"hand out {keeper.shelf.public_key_path}; the old keys stay beside it, for the certificates they signed")
    return OK


def _keys(args: Arguments) -> tuple[TrustedKey, ...]:
    """The keys named, or those of this data directory. Raises ``UsageError`` without any."""
    named = getattr(args, "public_key", None)
    if named:
        return tuple(_trusted(path, _read_pem(path)) for path in named)
    try:
        found = CertificateShelf(args.data_dir).trusted_keys()
    except ValueError as trouble:
        raise UsageError(f"a public key in {args.data_dir / 'certificates'} is damaged: {trouble}") from trouble
    if not found:
        raise UsageError("no public key: give the guard's with --public-key PEM")
    return found


def _read_pem(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(_PEM_BYTES_MAX)


def _trusted(path: Path, pem: bytes) -> TrustedKey:
    try:
        return trusted_key(pem)
    except ValueError as trouble:
        raise UsageError(f"{path}: {trouble}") from trouble


_COMMANDS: Final[dict[str, Callable[[Arguments], int]]] = {
    "verify": _verify,
    "list": _list,
    "show": _show,
    "key": _key,
    "rotate-key": _rotate,
}
