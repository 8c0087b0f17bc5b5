"""Figures as they stand in the page: drawn, saved in three formats, inlined, and captioned."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from html import escape
from pathlib import Path

from observatory.analysis.page.drawing import Drawing, NotDrawn
from observatory.analysis.page.style import save
from observatory.analysis.page.table import Table

_PREAMBLE = re.compile(r"^.*?(?=<svg)", re.DOTALL)
_METADATA = re.compile(r"\s*<metadata>.*?</metadata>", re.DOTALL)
_STYLE = re.compile(r"\s*<defs>\s*<style[^>]*>.*?</style>\s*</defs>", re.DOTALL)
_SIZE = re.compile(r'\s(?:width|height)="[\d.]+pt"')
_PATH = re.compile(r' d="[^"]*"')
_DIGITS = re.compile(r"(\.\d\d)\d+")
_REFERENCE = re.compile(r'(\bid="|url\(#|xlink:href="#)')


@dataclass(frozen=True)
class ReportFigure:
    """One figure of the page.

    Attributes:
        name: Name of its files and anchor.
        title: A short noun phrase.
        caption: What is drawn, with n, units, event and horizon.
        svg: The drawing, to be placed in the page as it is.
        files: Its files by format, relative to the page.
        table: What is printed below it; None: nothing.
    """

    name: str
    title: str
    caption: str
    svg: str
    files: dict[str, str]
    table: Table | None


def _inline_svg(text: str, name: str, title: str) -> str:
    """An SVG file as an element of an HTML page."""
    svg = _METADATA.sub("", _PREAMBLE.sub("", text))
    svg = _PATH.sub(lambda path: _DIGITS.sub(r"\1", path[0]), _STYLE.sub("", svg))
    head, rest = svg.split(">", 1)
    head = _SIZE.sub("", head)
    head += f' role="img" aria-label="{escape(title)}"'
    head += ' style="stroke-linejoin:round;stroke-linecap:butt"'
    return _REFERENCE.sub(rf"\g<1>{name}--", f"{head}>{rest}")


@dataclass(frozen=True)
class FigureWriter:
    """Where the figures of a page go.

    Attributes:
        folder: Of the files.
        page_folder: Of the page, from which it links to them.
        dpi: Resolution of the PNG.
    """

    folder: Path
    page_folder: Path
    dpi: int

    def save(
        self, drawings: Iterable[Drawing | NotDrawn], prefix: str
    ) -> tuple[list[ReportFigure], list[NotDrawn]]:
        """Save what could be drawn, one figure at a time; what could not is handed back."""
        figures: list[ReportFigure] = []
        not_drawn: list[NotDrawn] = []
        for item in drawings:
            if isinstance(item, NotDrawn):
                not_drawn.append(item)
            else:
                figures.append(self._save_one(item, prefix))
        return figures, not_drawn

    def _save_one(self, drawing: Drawing, prefix: str) -> ReportFigure:
        name = f"{prefix}{drawing.name}"
        files = save(drawing.figure, self.folder, name, self.dpi)
        links = {k: file.relative_to(self.page_folder).as_posix() for k, file in files.items()}
        svg = _inline_svg(files["svg"].read_text(encoding="utf-8"), name, drawing.title)
        return ReportFigure(name, drawing.title, drawing.caption, svg, links, drawing.table)
