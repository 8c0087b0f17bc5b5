"""The part of a page that moves: its views, its data and the library that draws it, inlined."""

import json
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from observatory.analysis.page.facts import Facts
from observatory.analysis.report.explorer.chart import explorer_spec
from observatory.analysis.report.explorer.data import explorer_data
from observatory.core.errors import ObservatoryError

_VEGA_LITE = "6.4"
_BUNDLE = (
    "import sys, vl_convert; "
    f"sys.stdout.buffer.write(vl_convert.javascript_bundle(vl_version='{_VEGA_LITE}').encode())"
)


@dataclass(frozen=True)
class Explorer:
    """What a page with moving views holds; each text may stand inside a script element."""

    spec: str  # the views, as JSON of Vega-Lite
    data: str  # their data, as JSON
    library: str  # Vega, Vega-Lite and vega-embed
    n_replicas: int


def explorer(found: Sequence[Facts]) -> Explorer | None:
    """The moving views of a study's groups; None where it has no fits by horizon."""
    block = explorer_data(found)
    if block is None:
        return None
    spec = explorer_spec(block)
    return Explorer(_json(spec), _json(block), _library(), len(block["replicas"]))


def _json(value: Any) -> str:
    """JSON in which no text can end the element that it stands in."""
    text = json.dumps(value, separators=(",", ":"), allow_nan=False, ensure_ascii=False)
    return text.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")


@cache
def _library() -> str:
    """The library, made offline in a process of its own: its threads would not survive a fork."""
    made = subprocess.run([sys.executable, "-c", _BUNDLE], capture_output=True, check=False)
    if made.returncode:
        said = made.stderr.decode(errors="replace").strip().splitlines()[-1:]
        raise ObservatoryError(
            f"The library of the moving views cannot be made: {' '.join(said)} Install the extra "
            "again: `pip install 'observatory[analysis]'`."
        )
    return made.stdout.decode().replace("</script", "<\\/script")
