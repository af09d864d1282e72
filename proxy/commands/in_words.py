"""A file's trouble as a person is told it. Standard library only: every command may have one to tell."""

from __future__ import annotations

import os
from pathlib import Path


def file_trouble(trouble: OSError) -> str:
    """Which file or folder, and what ails it; what ails it alone where the system named none."""
    if not isinstance(trouble.filename, str | os.PathLike):
        return trouble.strerror or str(trouble)
    path = Path(trouble.filename)
    if isinstance(trouble, FileExistsError | NotADirectoryError) and not path.is_dir():
        return f"{path}: something that is no folder stands in its place, or above it"
    return f"{path}: {trouble.strerror}"
