"""What is installed only where it is asked for, and the sentence that says how to get it.

`pip install observatory` brings what reads a store and watches a model; training, fits, pages and
MLflow are extras. Whoever needs one calls `require` before anything else happens: a study is not
trained for an hour and then not fitted for want of a package.
"""

from collections.abc import Mapping
from importlib.util import find_spec

from observatory.core.errors import MissingExtraError

EXTRAS: Mapping[str, tuple[str, ...]] = {
    "train": ("lightning", "hydra", "omegaconf", "optuna", "psutil"),
    "analysis": (
        *("scipy", "statsmodels", "matplotlib", "jinja2", "hydra", "omegaconf"),
        *("altair", "vl_convert"),
    ),
    "mlflow": ("mlflow",),
    "slurm": ("submitit",),
    "postgres": ("psycopg",),
    "hf": ("transformers", "accelerate"),
}
"""Extras of pyproject.toml by name, with the names under which their packages are imported."""


def missing(*extras: str) -> list[str]:
    """The import names that extras bring and that are not installed.

    Args:
        extras: Names of `EXTRAS`.

    Raises:
        KeyError: If there is no such extra.

    Example:
        >>> missing()
        []
    """
    names = dict.fromkeys(name for extra in extras for name in EXTRAS[extra])
    return [name for name in names if not _installed(name)]


def require(*extras: str, by: str) -> None:
    """Refuse where a package of these extras is not installed. Imports nothing.

    Args:
        extras: Names of `EXTRAS`.
        by: Who needs them, as the sentence begins: a command or a name in backticks.

    Raises:
        MissingExtraError: It names the packages, and the command that installs them.

    Example:
        >>> require("train", by="`observatory train`")
    """
    absent = missing(*extras)
    if not absent:
        return
    needed = ",".join(extra for extra in extras if {*EXTRAS[extra]} & {*absent})
    be, them = ("is", "it") if len(absent) == 1 else ("are", "them")
    packages = " and ".join(filter(None, [", ".join(absent[:-1]), absent[-1]]))
    raise MissingExtraError(
        f"{by} needs {packages}, which {be} not installed. "
        f"Install {them}: pip install 'observatory[{needed}]'"
    )


def _installed(name: str) -> bool:
    try:
        return find_spec(name) is not None
    except (ModuleNotFoundError, ValueError):  # refused by a finder; a half-made entry of modules
        return False
