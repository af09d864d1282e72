"""What every process that holds secrets does first, before it reads any of them."""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading
import time

from proxy.core_dumps import refuse_core_dumps
from proxy.log_repeats import Repeats

log = logging.getLogger("perpguard")


def harden_process(name: str) -> None:
    """Plain logs, no core dumps, and no life without its parent."""
    handler = logging.StreamHandler(sys.stderr)
    handler.addFilter(Repeats())
    logging.basicConfig(
        level=logging.INFO, format=f"%(asctime)s {name} %(levelname)s %(name)s %(message)s", handlers=[handler]
    )
    # httpx logs every URL at INFO, and the URL of a signed read carries its signature.
    logging.getLogger("httpx").setLevel(logging.WARNING)
    logging.getLogger("httpcore").setLevel(logging.WARNING)
    # Alembic names each of its own plugins at INFO, at every start.
    logging.getLogger("alembic.runtime.plugins").setLevel(logging.WARNING)
    refuse_core_dumps()
    supervisor = os.environ.get("PERPGUARD_SUPERVISED")
    if supervisor is not None:
        threading.Thread(target=_end_with, args=(int(supervisor),), daemon=True).start()


def _end_with(parent: int) -> None:
    """Stop in order when the supervisor is gone: an orphan would serve a port that nobody tends."""
    while os.getppid() == parent:
        time.sleep(0.5)
    log.error("the supervisor is gone; stopping")
    os.kill(os.getpid(), signal.SIGTERM)
