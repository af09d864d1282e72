"""Pages and parts of pages from the templates beside this file."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from proxy.console import words
from proxy.console.answers import Page

_HERE: Final = Path(__file__).parent


class Rendering:
    """Every template, read at start: a broken one fails there, not under the button."""

    def __init__(self) -> None:
        self._templates = Environment(
            loader=FileSystemLoader(_HERE / "templates"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            auto_reload=False,
        )
        self._templates.filters.update(words.FILTERS)
        for template in self._templates.list_templates():
            self._templates.get_template(template)

    def page(self, template: str, status: int = 200, **values: Any) -> Page:
        """A template with its values."""
        return Page(self._templates.get_template(template).render(values), status_code=status)
