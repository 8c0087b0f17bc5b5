"""Figures as they stand in the page: drawn, saved in three formats, inlined, and captioned."""

import re
from dataclasses import dataclass
from html import escape
from pathlib import Path

from matplotlib.figure import Figure

from observatory.analysis.figures.style import save

_PREAMBLE = re.compile(r"^.*?(?=<svg)", re.DOTALL)
_METADATA = re.compile(r"\s*<metadata>.*?</metadata>", re.DOTALL)
_STYLE = re.compile(r"\s*<defs>\s*<style[^>]*>.*?</style>\s*</defs>", re.DOTALL)
_SIZE = re.compile(r'\s(?:width|height)="[\d.]+pt"')
_PATH = re.compile(r' d="[^"]*"')
_DIGITS = re.compile(r"(\.\d\d)\d+")
_REFERENCE = re.compile(r'(\bid="|url\(#|xlink:href="#)')


@dataclass(frozen=True)
class Plate:
    """One figure of the page.

    Attributes:
        name: Name of its files and anchor.
        title: A short noun phrase.
        caption: What is drawn, with n, units, event and horizon.
        svg: The drawing, to be placed in the page as it is.
        files: Its files by format, relative to the study.
    """

    name: str
    title: str
    caption: str
    svg: str
    files: dict[str, str]


def inline_svg(text: str, name: str, title: str) -> str:
    """An SVG file as an element of an HTML page.

    Identifiers get the prefix `name`, so that several drawings can share a page; the size is left
    to the page; metadata and the global style rule are dropped, paths are rounded to 0.01 pt.

    Args:
        text: The file as matplotlib wrote it.
        name: Letters, digits, hyphens.
        title: What a screen reader says.
    """
    svg = _METADATA.sub("", _PREAMBLE.sub("", text))
    svg = _PATH.sub(lambda path: _DIGITS.sub(r"\1", path[0]), _STYLE.sub("", svg))
    head, rest = svg.split(">", 1)
    head = _SIZE.sub("", head)
    head += f' role="img" aria-label="{escape(title)}"'
    head += ' style="stroke-linejoin:round;stroke-linecap:butt"'
    return _REFERENCE.sub(rf"\g<1>{name}--", f"{head}>{rest}")


def make_plate(
    figure: Figure, *, name: str, title: str, caption: str, study_folder: Path, dpi: int
) -> Plate:
    """Save a figure below `report/figures/` of the study, and prepare it for the page."""
    files = save(figure, study_folder / "report" / "figures", name, dpi)
    return Plate(
        name=name,
        title=title,
        caption=caption,
        svg=inline_svg(files["svg"].read_text(encoding="utf-8"), name, title),
        files={kind: file.relative_to(study_folder).as_posix() for kind, file in files.items()},
    )
