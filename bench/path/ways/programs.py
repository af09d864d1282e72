"""The comparators: nginx, HAProxy, mitmproxy with a minimal addon, FastAPI with httpx as it is usually written.

Each gets one worker, keeps its connections to the upstream alive and writes no log of requests. A program that is not
installed is found to be ``None``. mitmproxy needs an environment of its own; ``PERPGUARD_BENCH_MITMDUMP`` names its
``mitmdump`` where it is not in the path.
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from bench.path.ways.proxy import free_port, running

MITMDUMP: Final = "PERPGUARD_BENCH_MITMDUMP"
_SBIN: Final = "/usr/sbin:/usr/local/sbin"
_HERE: Final = Path(__file__).parent

_NGINX: Final = """\
daemon off;
worker_processes 1;
pid {directory}/nginx.pid;
error_log {directory}/error.log;
events {{ worker_connections 256; }}
http {{
    access_log off;
    tcp_nodelay on;
    keepalive_requests 1000000;
    client_body_temp_path {directory}/body;
    proxy_temp_path {directory}/proxy;
    fastcgi_temp_path {directory}/fastcgi;
    uwsgi_temp_path {directory}/uwsgi;
    scgi_temp_path {directory}/scgi;
    upstream exchange {{ server {upstream}; keepalive 64; keepalive_requests 1000000; }}
    server {{
        listen 127.0.0.1:{port}{tls};
        {certificate}
        location / {{
            proxy_pass http://exchange;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            proxy_set_header Host $host;
        }}
    }}
}}
"""

_HAPROXY: Final = """\
global
    nbthread 1
    maxconn 1000
defaults
    mode http
    timeout connect 5s
    timeout client 60s
    timeout server 60s
    http-reuse always
frontend door
    bind 127.0.0.1:{port}
    default_backend exchange
backend exchange
    server exchange {upstream}
"""


def find_nginx() -> str | None:
    """Where nginx is; Debian keeps it out of an ordinary user's path."""
    return shutil.which("nginx") or shutil.which("nginx", path=_SBIN)


def find_haproxy() -> str | None:
    """Where HAProxy is."""
    return shutil.which("haproxy") or shutil.which("haproxy", path=_SBIN)


def find_mitmdump() -> str | None:
    """Where mitmproxy's command without a screen is."""
    return shutil.which(os.environ.get(MITMDUMP) or "mitmdump")


@contextmanager
def nginx(
    program: str, upstream: str, directory: Path, cores: set[int], certificate: str | None = None
) -> Iterator[tuple[int, int]]:
    """Process id and port; by TLS with a ``certificate``, the file of it and its key."""
    directory.mkdir(mode=0o700)
    port = free_port()
    configuration = directory / "nginx.conf"
    files = f"ssl_certificate {certificate}; ssl_certificate_key {certificate};" if certificate else ""
    configuration.write_text(
        _NGINX.format(
            directory=directory,
            upstream=urlsplit(upstream).netloc,
            port=port,
            tls=" ssl" if certificate else "",
            certificate=files,
        ),
        encoding="utf-8",
    )
    command = [program, "-p", str(directory), "-c", str(configuration), "-e", str(directory / "error.log")]
    with running(command, port, directory / "log", cores) as pid:
        yield pid, port


@contextmanager
def haproxy(program: str, upstream: str, directory: Path, cores: set[int]) -> Iterator[tuple[int, int]]:
    """Process id and port."""
    directory.mkdir(mode=0o700)
    port = free_port()
    configuration = directory / "haproxy.cfg"
    configuration.write_text(_HAPROXY.format(upstream=urlsplit(upstream).netloc, port=port), encoding="utf-8")
    with running([program, "-f", str(configuration)], port, directory / "log", cores) as pid:
        yield pid, port


@contextmanager
def mitmproxy(program: str, upstream: str, directory: Path, cores: set[int]) -> Iterator[tuple[int, int]]:
    """Process id and port."""
    directory.mkdir(mode=0o700)
    port = free_port()
    command = [program, "--quiet", "--mode", f"reverse:{upstream}", "--listen-host", "127.0.0.1"]
    command += ["--listen-port", str(port), "--set", f"confdir={directory}", "--set", "connection_strategy=lazy"]
    command += ["--scripts", str(_HERE / "mitm_addon.py")]
    with running(command, port, directory / "log", cores) as pid:
        yield pid, port


@contextmanager
def usual(upstream: str, directory: Path, cores: set[int]) -> Iterator[tuple[int, int]]:
    """Process id and port of uvicorn with the FastAPI application of ``usual.py``."""
    directory.mkdir(mode=0o700)
    port = free_port()
    command = [sys.executable, "-m", "uvicorn", "bench.path.ways.usual:app", "--host", "127.0.0.1"]
    command += ["--port", str(port), "--no-access-log", "--log-level", "warning"]
    with running(command, port, directory / "log", cores, {"PERPGUARD_BENCH_UPSTREAM": upstream}) as pid:
        yield pid, port
