"""From what a page says to its file."""

from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from observatory.store.files import write_text


def write_page(path: Path, template: str, page: dict[str, Any]) -> Path:
    """Fill a template and write it atomically, its style inlined."""
    environment = Environment(
        loader=PackageLoader("observatory.analysis.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    css = environment.loader.get_source(environment, "style.css")[0]  # type: ignore[union-attr]
    html = environment.get_template(template).render(page=page, css=css)
    write_text(path, html)
    return path
