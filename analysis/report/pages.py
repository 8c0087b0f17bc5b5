"""From what a page says to its file."""

import re
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

from observatory.store.files import write_text


def _code(text: str) -> Markup:
    """A text with what stands in backticks as code."""
    return Markup(re.sub(r"`([^`]+)`", r"<code>\1</code>", str(escape(text))))


def write_page(path: Path, template: str, page: dict[str, Any]) -> Path:
    """Fill a template and write it atomically, its style inlined."""
    environment = Environment(
        loader=PackageLoader("observatory.analysis.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["code"] = _code
    css = environment.loader.get_source(environment, "style.css")[0]  # type: ignore[union-attr]
    html = environment.get_template(template).render(page=page, css=css)
    write_text(path, html)
    return path
