"""A figure of a fit as a file."""

from pathlib import Path
from typing import TYPE_CHECKING

from observatory.core.errors import ConfigError

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def save_picture(figure: "Figure", path: Path) -> None:
    """Write a figure; the ending of `path` names the format.

    Raises:
        ConfigError: If the file cannot be written.
    """
    dates = {".svg": {"Date": None}, ".pdf": {"CreationDate": None}, ".png": {"Software": None}}
    try:
        figure.savefig(path, dpi=200, metadata=dates[path.suffix])
    except OSError as error:
        raise ConfigError(f"`{path}` cannot be written ({error.strerror}).") from error
