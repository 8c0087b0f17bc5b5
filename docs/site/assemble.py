"""Gathers what the site is made of: the guides with their links, the pages of the reference.

Guides link to each other as files of the repository, so that they are readable where it is shown.
On the site the README is the first page, docs/index.md the list of guides, and a file of code is
its page of the reference.
"""

import re
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from posixpath import normpath, relpath

from docs.site.api import Pages, api_pages

ROOT = Path(__file__).resolve().parents[2]
LINK = re.compile(r"(?<=\]\()(?!\w+:|#)([^)\s#]+)")
CODE = re.compile(r"\[([^]]+)\]\((?:\.\./)*(observatory/[\w/]+)\.py\)")
FENCED = re.compile(r"^```.*?^```", re.DOTALL | re.MULTILINE)
FIRST = {
    "README.md": "index.md",
    "docs/index.md": "guides.md",
    "CONTRIBUTING.md": "contributing.md",
    "CHANGELOG.md": "changelog.md",
    "CITATION.cff": "CITATION.cff",
}


def on_site(path: str) -> str:
    """Where a file of the repository stands on the site."""
    if path in FIRST:
        return FIRST[path]
    return path.removeprefix("docs/")


def relinked(text: str, path: str) -> str:
    """The text of a file of the repository with its links as the site has them."""
    here = PurePosixPath(on_site(path)).parent

    def link(found: re.Match[str]) -> str:
        return relpath(on_site(normpath(PurePosixPath(path).parent / found[1])), here)

    def module(found: re.Match[str]) -> str:
        return f"{{py:mod}}`{found[1]} <{found[2].replace('/', '.')}>`"

    fenced = FENCED.findall(text)
    parts = [LINK.sub(link, CODE.sub(module, part)) for part in FENCED.split(text)]
    return "".join(a + b for a, b in zip(parts, [*fenced, ""], strict=True))


def themes(index: str) -> Iterator[tuple[str, list[str]]]:
    """The headings of docs/index.md, each with the pages that it lists, in their order."""
    for section in re.split(r"^## ", index, flags=re.MULTILINE)[1:]:
        title, _, body = section.partition("\n")
        yield title.strip(), list(dict.fromkeys(LINK.findall(body)))


def sidebar(index: str) -> str:
    """The contents of the site, for the end of its first page."""
    parts: list[str] = []
    for title, links in themes(index):
        names = [on_site(normpath(PurePosixPath("docs") / link)) for link in links]
        parts += ["```{toctree}", ":hidden:", f":caption: {title}", "", *names, "```", ""]
    parts += ["```{toctree}", ":hidden:", ":caption: Reference", "", "guides.md", "api.rst"]
    return "\n".join([*parts, "changelog.md", "```", ""])


DEMO = """
<p><a href="demo/report.html">The page alone</a></p>
<iframe src="demo/report.html" title="The report of the notebook's study" class="demo"></iframe>
"""


def guides() -> Pages:
    """The guides and the files beside them, relinked."""
    paths = ["README.md", "CONTRIBUTING.md", "CHANGELOG.md"]
    paths += sorted(str(p.relative_to(ROOT)) for p in (ROOT / "docs").glob("*.md"))
    pages = {
        PurePosixPath(on_site(path)): relinked((ROOT / path).read_text(), path) for path in paths
    }
    pages[PurePosixPath("demo.md")] += DEMO
    first = PurePosixPath("index.md")
    pages[first] += "\n" + sidebar((ROOT / "docs" / "index.md").read_text())
    return pages


def assemble(to: Path) -> None:
    """Write the sources of the site anew into a folder."""
    shutil.rmtree(to, ignore_errors=True)
    shutil.copytree(ROOT / "docs", to, ignore=shutil.ignore_patterns("site", "*.md", "__pycache__"))
    shutil.copytree(ROOT / "conf", to / "conf", ignore=shutil.ignore_patterns("*.py", "__py*"))
    shutil.copy(ROOT / "CITATION.cff", to)
    for path, text in (guides() | api_pages()).items():
        (to / path).parent.mkdir(parents=True, exist_ok=True)
        (to / path).write_text(text)


if __name__ == "__main__":
    assemble(Path(sys.argv[1]))
