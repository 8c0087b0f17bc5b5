"""A figure of a fit as a file."""

from pathlib import Path

from matplotlib.figure import Figure

from observatory.analysis.page.style import styled
from observatory.core.errors import ConfigError


@styled
def save_picture(figure: Figure, path: Path) -> None:
    """Write a figure; the ending of `path` names the format.

    Raises:
        ConfigError: If the file cannot be written, or no format has this ending.
    """
    dates = {".svg": {"Date": None}, ".pdf": {"CreationDate": None}, ".png": {"Software": None}}
    if path.suffix not in dates:
        raise ConfigError(f"`{path}` must end in .pdf, .png or .svg, got {path.suffix!r}.")
    try:
        figure.savefig(path, dpi=200, metadata=dates[path.suffix])
    except OSError as error:
        raise ConfigError(f"`{path}` cannot be written ({error.strerror}).") from error
