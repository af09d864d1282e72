"""The addresses under which people come in by a link, and the first admin's link of a start."""

from __future__ import annotations

import secrets
from datetime import datetime
from typing import TYPE_CHECKING

from proxy.addresses import asked_at
from proxy.people.changes import ChangeRefused, with_first_link
from proxy.people.file import PeopleFile
from proxy.people.users import digest_of

if TYPE_CHECKING:
    from proxy.settings import Settings


def first_admin_token(settings: Settings, now: datetime) -> str | None:
    """The token of a fresh link for the first admin; ``None`` while there is an admin.

    Raises what the file of people raises.
    """
    token = secrets.token_urlsafe(32)
    try:
        PeopleFile(settings.data_dir).change(lambda people: with_first_link(people, digest_of(token), now))
    except ChangeRefused:
        return None
    return token


def link_of(settings: Settings, token: str, port: int) -> str:
    """Where a browser follows a link: over TLS the first of ``control_names``, else the port itself."""
    if settings.control_https and settings.control_names:
        return f"https://{settings.control_names[0]}/welcome/{token}"
    return f"http://{asked_at(settings.control_host, port)}/welcome/{token}"
