"""Checks that every link within the built site leads somewhere, its anchor included."""

import re
import sys
from functools import cache
from html import unescape
from pathlib import Path
from posixpath import normpath
from urllib.parse import unquote

POINTS = re.compile(r"<[^>]*?\s(?:href|src)=\"([^\"]*)\"", re.DOTALL)
NAMED = re.compile(r"<[^>]*?\sid=\"([^\"]+)\"", re.DOTALL)
ELSEWHERE = re.compile(r"[a-z]+:|//")
SCRIPT = re.compile(r"<(script|style)\b.*?</\1>", re.DOTALL)


@cache
def text_of(page: Path) -> str:
    """A page without what is inside its scripts."""
    return SCRIPT.sub("", page.read_text())


@cache
def anchors(page: Path) -> frozenset[str]:
    """Every id of a page."""
    return frozenset(unescape(found) for found in NAMED.findall(text_of(page)))


def broken(home: Path) -> list[str]:
    """Every link of the site that leads nowhere, as "page: link"."""
    found: list[str] = []
    for page in sorted(home.rglob("*.html")):
        for link in dict.fromkeys(POINTS.findall(text_of(page))):
            path, _, anchor = unescape(link).partition("#")
            if ELSEWHERE.match(link):
                continue
            path = unquote(path).partition("?")[0]
            target = Path(normpath(page.parent / path)) if path else page
            checked = bool(anchor) and target.suffix == ".html" and target.is_file()
            if not target.is_file() or (checked and unquote(anchor) not in anchors(target)):
                found.append(f"{page.relative_to(home)}: {link}")
    return found


if __name__ == "__main__":
    lost = broken(Path(sys.argv[1]))
    sys.exit("\n".join(["Links that lead nowhere:", *lost]) if lost else 0)
