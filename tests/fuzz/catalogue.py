"""Every target there is. ``python -m tests.fuzz.catalogue`` names them."""

from __future__ import annotations

from typing import Final

from tests.fuzz.target import Target
from tests.fuzz.targets.answers import EVENTS, PRIVATE_STREAM, REPLIES
from tests.fuzz.targets.frames import FRAMES, STREAM_CALLS, STREAM_PATHS
from tests.fuzz.targets.http import HTTP
from tests.fuzz.targets.ids import ANSWERED_IDS, CLIENT_IDS, SIGNATURES
from tests.fuzz.targets.inside import CONTROL_LINE, DOCUMENTS
from tests.fuzz.targets.json_values import MONEY, STRICT_JSON
from tests.fuzz.targets.store import STORE_REPLIES
from tests.fuzz.targets.upstream import WIRE_REPLIES
from tests.fuzz.targets.wire import PARAMETERS, REQUESTS

TARGETS: Final[dict[str, Target]] = {
    target.name: target
    for target in (
        PARAMETERS,
        REQUESTS,
        STRICT_JSON,
        MONEY,
        CLIENT_IDS,
        ANSWERED_IDS,
        SIGNATURES,
        FRAMES,
        STREAM_CALLS,
        STREAM_PATHS,
        HTTP,
        WIRE_REPLIES,
        STORE_REPLIES,
        REPLIES,
        PRIVATE_STREAM,
        EVENTS,
        DOCUMENTS,
        CONTROL_LINE,
    )
}


if __name__ == "__main__":
    print(*TARGETS)
