"""A figure of a fit as a file."""

from pathlib import Path

from matplotlib.figure import Figure

from observatory.analysis.page.style import styled
from observatory.core.errors import ConfigError
from observatory.store.files import rename_durably, temporary_beside


@styled
def save_picture(figure: Figure, path: Path) -> None:
    """Write a figure whole, or leave what was there; the ending of `path` names the format.

    Raises:
        ConfigError: If the file cannot be written, or no format has this ending.
    """
    dates = {".svg": {"Date": None}, ".pdf": {"CreationDate": None}, ".png": {"Software": None}}
    if path.suffix not in dates:
        raise ConfigError(f"`{path}` must end in .pdf, .png or .svg, got {path.suffix!r}.")
    temporary = temporary_beside(path)
    try:
        figure.savefig(temporary, format=path.suffix[1:], dpi=200, metadata=dates[path.suffix])
        rename_durably(temporary, path)
    except OSError as error:
        raise ConfigError(f"`{path}` cannot be written ({error.strerror}).") from error
    finally:
        temporary.unlink(missing_ok=True)
