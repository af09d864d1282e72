"""A bot as a trader would write it: plain ccxt, of which nothing is changed but the base URL and the key."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit, urlunsplit

import ccxt

from proxy.vault.keys import Secret


def connect(base_url: str, api_key: str, secret: Secret) -> Any:
    """ccxt's ``binanceusdm`` at another address: every URL keeps its path, behind ``base_url``."""
    exchange = ccxt.binanceusdm({"apiKey": api_key, "secret": secret.reveal(), "enableRateLimit": False})
    exchange.urls["api"] = repointed(exchange.urls["api"], base_url)
    return exchange


def repointed(urls: Any, base_url: str) -> Any:
    """ccxt's table of URLs with host replaced, paths kept behind the base's own path; ``wss`` follows ``https``."""
    if isinstance(urls, dict):
        return {name: repointed(value, base_url) for name, value in urls.items()}
    base, url = urlsplit(base_url), urlsplit(urls)
    scheme = base.scheme.replace("http", "ws") if url.scheme == "wss" else base.scheme
    return urlunsplit((scheme, base.netloc, base.path.rstrip("/") + url.path, url.query, ""))
