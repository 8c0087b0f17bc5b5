"""One figure of a study alone, for a paper: in the user's size and style, or in the user's axes."""

import math
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from observatory.analysis.page.comparison import StudyGroup, compare
from observatory.analysis.page.drawing import Drawing
from observatory.analysis.page.figure_writer import Section
from observatory.analysis.page.style import styled, with_style
from observatory.analysis.report.draw_groups import draw_groups
from observatory.analysis.report.gathering import gather_study
from observatory.analysis.report.illustrate import illustrate
from observatory.core.errors import ConfigError
from observatory.core.processes import in_parallel
from observatory.core.settings import known_name
from observatory.store.reader import Study

_NARROW = 5.0
"""Inches up to which the entries of a legend stand below each other."""

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def figure(
    study: Study | Path | str,
    name: str,
    *,
    width: float | None = None,
    height: float | None = None,
    style: Path | str | None = None,
    ax: "Axes | None" = None,
) -> "Figure":
    """A figure of a study's report, drawn from its store and its fits.

    Args:
        study: The study or its folder, fitted.
        name: Of the figure, as `figure_names` lists them.
        width: In inches; None: that of the page, or in proportion to the height.
        height: In inches; None: that of the page, times the root of the change in width.
        style: A matplotlib style sheet, laid over the style of the page.
        ax: Axes of your own to draw into, for a figure of one panel; your figure keeps its size and
            its style, and `ax.legend()` names what is drawn.

    Returns:
        The figure, `ax`'s own where it is given.

    Raises:
        ConfigError: If there is no such figure, it is not drawn for this study, a size is not
            positive, or `ax` is given for a figure of several panels.
        StoreError: If the folder holds no study or no fits.
    """
    for key, size in (("width", width), ("height", height)):
        if size is not None and not size > 0:
            raise ConfigError(f"`{key}` must be above 0, got {size}. Give inches, such as 3.4.")
    if ax is not None and (width or height or style):
        raise ConfigError("`ax` has a size and a style of its own: leave out `width` and `style`.")
    with with_style(style, width):
        drawing = _drawing(_opened(study), name)
        if ax is not None:
            if drawing.panel is None:
                raise ConfigError(
                    f"`ax` takes a figure of one panel, and {name} has several. Leave it out, or "
                    f"take one of {_of_one_panel(_opened(study))}."
                )
            drawing.panel(ax)
            return ax.figure.get_figure(root=True)
        _resize(drawing.figure, width, height)
    return drawing.figure


def figure_names(study: Study | Path | str) -> dict[str, str]:
    """The figures that a study has, by name, each with its title; raises as `figure`."""
    sections = list(_sections(_opened(study)))
    tasks = [lambda p=prefix, s=section: _titles(p, s) for prefix, section in sections]
    return {name: title for found in in_parallel(tasks) for name, title in found}


def _opened(study: Study | Path | str) -> Study:
    return study if isinstance(study, Study) else Study(Path(study))


def _sections(study: Study) -> Iterator[tuple[str, Section]]:
    """The sections of the page, with what the names of their figures start with."""
    found, records = gather_study(study)
    if len(found) > 1 and not found[0].unfitted:
        groups = [StudyGroup(facts.group.label, facts, facts.group.label) for facts in found]
        yield from (("", section) for section in draw_groups(compare(groups, records)))
    for index, facts in enumerate(found, start=1):
        prefix = "" if len(found) == 1 else f"group{index}-"
        for section in illustrate(facts):
            yield prefix, section


def _of_one_panel(study: Study) -> list[str]:
    """Names of the figures that can be drawn into axes of the user's."""
    drawn = ((prefix, item) for prefix, section in _sections(study) for item in section())
    return [f"{p}{i.name}" for p, i in drawn if isinstance(i, Drawing) and i.panel is not None]


def _titles(prefix: str, section: Section) -> list[tuple[str, str]]:
    return [(f"{prefix}{i.name}", i.title) for i in section() if isinstance(i, Drawing)]


def _drawing(study: Study, name: str) -> Drawing:
    """The first drawing of this name; the page is drawn up to there."""
    known: list[str] = []
    for prefix, section in _sections(study):
        for item in section():
            if isinstance(item, Drawing):
                known.append(f"{prefix}{item.name}")
                if known[-1] == name:
                    return item
    known_name("figure", name, known)
    raise ConfigError(f"`figure` must be one of {known}, got {name!r}.")


@styled
def _resize(drawn: "Figure", width: float | None, height: float | None) -> None:
    old_width, old_height = drawn.get_size_inches()
    if width is not None:
        drawn.set_size_inches(width, height or old_height * math.sqrt(width / old_width))
    elif height is not None:
        drawn.set_size_inches(old_width * height / old_height, height)
    if width is None or width > _NARROW:
        return
    for legend in list(drawn.legends):  # one entry below the other
        words = [text.get_text() for text in legend.get_texts()]
        handles = [handle for handle in legend.legend_handles if handle is not None]
        legend.remove()
        drawn.legend(handles, words, loc="outside lower center", ncols=1)
