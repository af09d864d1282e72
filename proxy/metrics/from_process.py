"""How the processes of the guard are doing, and which version runs."""

from __future__ import annotations

import platform
from importlib.metadata import version

from proxy.metrics.sheet import Sheet
from proxy.process_facts import ProcessFacts


def put_process(sheet: Sheet, name: str, facts: ProcessFacts) -> None:
    """One process: the warden, or a gate by its place."""
    sheet.put("process_start_time_seconds", facts.started_at, process=name)
    sheet.put("process_resident_memory_bytes", facts.resident_bytes, process=name)
    sheet.put("process_cpu_seconds_total", facts.cpu_s, process=name)
    sheet.put("process_open_fds", facts.open_files, process=name)
    sheet.put("process_max_fds", facts.open_files_max, process=name)


def put_build(sheet: Sheet) -> None:
    """Which version runs, on which Python."""
    sheet.put("build_info", 1, version=version("perpguard"), python=platform.python_version())
