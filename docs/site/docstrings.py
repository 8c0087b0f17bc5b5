r"""Docstrings as reStructuredText: `$...$` is an equation, and single backticks hold code.

In a docstring a name may end with an underscore, `W_`, or stand between bars, |x|: both mean
something in reStructuredText, and nothing here.
"""

import re
from typing import Any

from docutils import nodes
from sphinx import addnodes
from sphinx.application import Sphinx

_APART = re.compile(r"``[^`]*``|`[^`]*`|\$(?P<tex>[^$\n][^$]*)\$", re.DOTALL)
_COLUMNS = re.compile(r"\s+\S.*\S {2,}\S")
_PROMPT = re.compile(r"^[ \t]*>>> ", re.MULTILINE)


def _plain(text: str) -> str:
    return re.sub(r"([*|\\]|(?<=\w)_(?!\w))", r"\\\1", text)


def _paragraph(text: str) -> str:
    """A paragraph whose equations and code are marked, with all else taken literally."""
    parts, last = [], 0
    for found in _APART.finditer(text):
        parts.append(_plain(text[last : found.start()]))
        tex = found["tex"]
        if tex is None:
            code = found[0].strip("`")
            parts.append(f"``{code}``")
        else:
            parts.append(f":math:`{tex}`")
        if re.match(r"\w", text[found.end() :]):
            parts.append("\\ ")
        last = found.end()
    return "".join([*parts, _plain(text[last:])])


def _block(text: str) -> str:
    """What stands between two empty lines: words, then perhaps an example; or a table."""
    if all(map(_COLUMNS.match, text.split("\n"))):
        return f"::\n\n{text}"
    prompt = _PROMPT.search(text)
    start = prompt.start() if prompt else len(text)
    return _paragraph(text[:start]) + text[start:]


def translated(lines: list[str]) -> list[str]:
    """The lines of a docstring as reStructuredText."""
    blocks = re.split(r"(\n\s*\n)", "\n".join(lines))
    return "".join(map(_block, blocks)).split("\n")


def process(
    app: Sphinx, what: str, name: str, thing: object, options: object, lines: list[str]
) -> None:
    """What Sphinx calls with every docstring, before its sections are read."""
    lines[:] = translated(lines)


def exact(app: Sphinx, document: nodes.document) -> None:
    """Let a type link to the class of its full name, never to another one of the same last name."""
    for reference in document.findall(addnodes.pending_xref):
        if reference.hasattr("refspecific"):
            del reference["refspecific"]


def setup(app: Sphinx) -> dict[str, Any]:
    """Read docstrings so before the sections of the Google style are."""
    app.connect("autodoc-process-docstring", process, priority=100)
    app.connect("doctree-read", exact)
    return {"parallel_read_safe": True}
