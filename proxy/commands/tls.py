"""``perpguard tls``: an authority and a certificate for the gates, so that bots can reach them by HTTPS."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from proxy.commands.arguments import Arguments
from proxy.commands.exit_codes import OK, USAGE_ERROR
from proxy.commands.in_words import file_trouble
from proxy.terminal import complain, say, show_json
from proxy.tls.names import DEFAULT_NAME

if TYPE_CHECKING:
    from proxy.tls.shelf import TlsShelf


def add_arguments(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add ``tls`` and its sub-commands to the global command line."""
    tls = subparsers.add_parser("tls", help="an authority and a certificate for the gates' HTTPS door")
    actions = tls.add_subparsers(dest="tls_command", required=True, metavar="ACTION")
    begin = actions.add_parser("init", help="make them, for these names")
    begin.add_argument("--name", default=DEFAULT_NAME, help=f"what bots call the guard (default {DEFAULT_NAME})")
    begin.add_argument("--also", action="append", default=[], metavar="NAME_OR_ADDRESS", help="may be repeated")
    renew = actions.add_parser("renew", help="a new certificate under the same authority; running gates take it up")
    show = actions.add_parser("show", help="names, end and fingerprint, and how a bot is told to trust it")
    for action in (begin, renew, show):
        action.add_argument("--json", action="store_true", help="print JSON")


def run(args: Arguments) -> int:
    """0 when done, 2 when refused, with the reason."""
    from proxy.clock import utc_now
    from proxy.tls.names import BadName, names_of
    from proxy.tls.shelf import TlsMissing, TlsShelf

    shelf = TlsShelf(args.data_dir)
    try:
        if args.tls_command == "init":
            shelf.begin(names_of(args.name, tuple(args.also)), utc_now())
        elif args.tls_command == "renew":
            shelf.renew(utc_now())
        _show(shelf, as_json=args.json)
    except BrokenPipeError:
        raise
    except OSError as trouble:
        complain("tls", file_trouble(trouble))
        return USAGE_ERROR
    except (BadName, TlsMissing) as trouble:
        complain("tls", str(trouble))
        return USAGE_ERROR
    return OK


def _show(shelf: TlsShelf, *, as_json: bool) -> None:
    from proxy.tls.authority import ends_at, fingerprint, names_in
    from proxy.tls.shelf import TlsMissing

    try:
        authority, certificate = shelf.authority.read_bytes(), shelf.certificate.read_bytes()
        names, ends = names_in(authority), ends_at(certificate)
    except FileNotFoundError:
        raise TlsMissing(f"there is none in {shelf.authority.parent}; `perpguard tls init` makes one") from None
    except ValueError as trouble:
        raise TlsMissing(f"{shelf.authority.parent}: {trouble}") from trouble
    known = [*names.dns, *map(str, names.addresses)]
    if as_json:
        told = {"authority": str(shelf.authority), "names": known, "ends": ends.isoformat()}
        show_json(told | {"fingerprint": fingerprint(authority)})
        return
    hosts = [name for name in names.dns if name != "localhost"]
    say(
        f"authority   {shelf.authority}",
        f"            SHA-256 {fingerprint(authority)}",
        f"names       {', '.join(known)}",
        f"ends        {ends:%Y-%m-%d}; perpguard tls renew",
        f"bots trust  {shelf.authority} (ccxt async: cafile; requests: REQUESTS_CA_BUNDLE; others: SSL_CERT_FILE)",
        f"hosts file  the bots' machines must find these names: ADDRESS {' '.join(hosts)}",
    )
