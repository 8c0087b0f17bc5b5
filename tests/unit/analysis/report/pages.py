"""A built page as a test reads it."""

from collections import Counter
from html.parser import HTMLParser
from pathlib import Path


class Page(HTMLParser):
    """Tags, identifiers and links of a page, and the text outside of style and SVG."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: Counter[str] = Counter()
        self.ids: list[str] = []
        self.links: list[str] = []
        self.captions: list[str] = []
        self.text = ""
        self._inside: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags[tag] += 1
        self._inside.append(tag)
        if tag == "figcaption":
            self.captions.append("")
        for name, value in attrs:
            if name == "id":
                self.ids.append(value or "")
            if name in ("href", "src", "xlink:href", "srcset", "action"):
                self.links.append(value or "")

    def handle_endtag(self, tag: str) -> None:
        while self._inside and self._inside.pop() != tag:
            pass

    def handle_data(self, data: str) -> None:
        if "style" not in self._inside and "svg" not in self._inside:
            self.text += data
            if "figcaption" in self._inside:
                self.captions[-1] += data


def read_page(path: Path) -> Page:
    """Parse a page."""
    return Page(path.read_text(encoding="utf-8"))
