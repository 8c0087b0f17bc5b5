"""Figures as they stand in the page: drawn on all cores, saved, inlined, and captioned."""

import re
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from html import escape
from pathlib import Path

from observatory.analysis.page.drawing import Drawing, NotDrawn
from observatory.analysis.page.style import FORMATS, written
from observatory.analysis.page.table import Table
from observatory.core.processes import in_parallel
from observatory.store.files import write_bytes

PNG_DPI = 200
Section = Callable[[], Iterable[Drawing | NotDrawn]]
"""Draws some figures that follow each other on a page."""

_PREAMBLE = re.compile(r"^.*?(?=<svg)", re.DOTALL)
_METADATA = re.compile(r"\s*<metadata>.*?</metadata>", re.DOTALL)
_STYLE = re.compile(r"\s*<defs>\s*<style[^>]*>.*?</style>\s*</defs>", re.DOTALL)
_SIZE = re.compile(r'\s(?:width|height)="[\d.]+pt"')
_PATH = re.compile(r' d="[^"]*"')
_DIGITS = re.compile(r"(\.\d\d)\d+")
_REFERENCE = re.compile(r'(\bid="|url\(#|xlink:href="#)')


@dataclass(frozen=True)
class ReportFigure:
    """One figure of the page."""

    name: str  # name of its files and anchor
    title: str  # a short noun phrase
    caption: str  # what is drawn, with n, units, event and horizon
    svg: str  # the drawing, to be placed in the page as it is
    files: dict[str, str]  # its files by format, relative to the page
    table: Table | None  # what is printed below it; None: nothing


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
    """Where the figures of a page go."""

    folder: Path  # of the files
    page_folder: Path  # of the page, from which it links to them
    formats: Collection[str]  # of the files; an SVG is always written, which the page shows

    def save(
        self, sections: Sequence[Section], prefix: str
    ) -> tuple[list[ReportFigure], list[NotDrawn]]:
        """Save what could be drawn; what could not is handed back.

        Files of an earlier page in formats that this one lacks are removed: they show other data.

        Args:
            sections: Each is drawn on one core; the figures keep their order.
            prefix: What the names of the files start with.

        Raises:
            StoreError: If a file cannot be written.
        """
        figures: list[ReportFigure] = []
        not_drawn: list[NotDrawn] = []
        for drawn in in_parallel([partial(self._drawn, section, prefix) for section in sections]):
            for item in drawn:
                if isinstance(item, NotDrawn):
                    not_drawn.append(item)
                else:
                    figure, contents = item
                    self._write(figure.name, contents)
                    figures.append(figure)
        return figures, not_drawn

    @property
    def others(self) -> str:
        """How to get files of the figures in the formats that are not written; empty: none is."""
        rest = [kind for kind in FORMATS if kind not in {"svg", *self.formats}]
        if not rest:
            return ""
        names = " and ".join(kind.upper() for kind in rest)
        every = ",".join(kind for kind in FORMATS if kind != "svg")
        return f"{names} files of these figures: add --formats {every} to `observatory report`."

    def _drawn(
        self, section: Section, prefix: str
    ) -> list[NotDrawn | tuple[ReportFigure, dict[str, bytes]]]:
        """The figures of a section and the contents of their files, and what is not drawn."""
        return [
            i if isinstance(i, NotDrawn) else self._one(i, f"{prefix}{i.name}") for i in section()
        ]

    def _one(self, drawing: Drawing, name: str) -> tuple[ReportFigure, dict[str, bytes]]:
        contents = written(drawing.figure, {"svg", *self.formats}, PNG_DPI)
        place = self.folder.relative_to(self.page_folder)
        links = {kind: (place / f"{name}.{kind}").as_posix() for kind in contents}
        svg = _inline_svg(contents["svg"].decode(), name, drawing.title)
        figure = ReportFigure(name, drawing.title, drawing.caption, svg, links, drawing.table)
        return figure, contents

    def _write(self, name: str, contents: dict[str, bytes]) -> None:
        for kind in FORMATS:
            path = self.folder / f"{name}.{kind}"
            if kind in contents:
                write_bytes(path, contents[kind])
            else:
                path.unlink(missing_ok=True)


def figure_writer(folder: Path, page: Path, formats: Collection[str] | None) -> FigureWriter:
    """The writer of the figures of a page.

    Args:
        folder: Of the files.
        page: The page.
        formats: Formats of the files; None: those in which an earlier page left some.
    """
    there = {kind for kind in FORMATS if any(folder.glob(f"*.{kind}"))}
    return FigureWriter(folder, page.parent, there if formats is None else formats)
