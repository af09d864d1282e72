"""Where the vault's passphrase comes from: the environment, a private file, or a person. Never the command line."""

import os
from collections.abc import Callable, Mapping
from pathlib import Path

from proxy.vault.errors import PassphraseMissing, PassphraseRefused
from proxy.vault.keys import Secret

_FILE_BYTES_MAX = 4096


def read_passphrase(
    *, environment: Mapping[str, str], file: Path | None, prompt: Callable[[str], str] | None
) -> Secret:
    """PERPGUARD_PASSPHRASE, else PERPGUARD_PASSPHRASE_FILE or `file`, else the prompt. PassphraseMissing or -Refused.

    An empty value counts as absent: compose files write `${PERPGUARD_PASSPHRASE:-}`.
    """
    if environment.get("PERPGUARD_PASSPHRASE"):
        return _encodable(Secret(environment["PERPGUARD_PASSPHRASE"]), "PERPGUARD_PASSPHRASE")
    if environment.get("PERPGUARD_PASSPHRASE_FILE"):
        return _from_file(Path(environment["PERPGUARD_PASSPHRASE_FILE"]))
    if file is not None:
        return _from_file(file)
    if prompt is not None:
        answer = Secret(prompt("Vault passphrase: "))
        if answer != Secret(""):
            return _encodable(answer, "the passphrase typed")
    raise PassphraseMissing


def _from_file(path: Path) -> Secret:
    if path.is_dir():
        raise PassphraseRefused(f"{path} is a folder, not a file with the passphrase in it")
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError as trouble:
        raise PassphraseRefused(f"cannot read {path}: {trouble.strerror}") from None
    with os.fdopen(descriptor, "rb") as file:
        # Asked of the open file, not of the path, which could be swapped in between.
        if os.fstat(descriptor).st_mode & 0o044:
            raise PassphraseRefused(f"{path} can be read by other users; chmod 600 it")
        # Wrapped at once, and surrogateescape instead of an error: a decoding error would carry the bytes along.
        text = Secret(file.read(_FILE_BYTES_MAX + 1).decode("utf-8", "surrogateescape"))
    if len(text.reveal()) > _FILE_BYTES_MAX:
        raise PassphraseRefused(f"{path} is longer than {_FILE_BYTES_MAX} bytes")
    line = Secret(text.reveal().removesuffix("\n").removesuffix("\r"))
    if line == Secret(""):
        raise PassphraseMissing
    return _encodable(line, str(path))


def _encodable(passphrase: Secret, source: str) -> Secret:
    if any("\ud800" <= character <= "\udfff" for character in passphrase.reveal()):
        raise PassphraseRefused(f"{source} is not valid UTF-8")
    return passphrase
