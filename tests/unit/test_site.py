"""The site: every public name has a page, every guide is listed, links are those of the site."""

from pathlib import Path

import pytest

import observatory
from docs.site.api import KINDS, api_pages
from docs.site.assemble import ROOT, relinked, themes
from docs.site.docstrings import translated
from docs.site.links import broken
from observatory import fits
from tests.unit.test_house import components

PAGES = {str(path): text for path, text in api_pages().items()}
INDEX = (ROOT / "docs" / "index.md").read_text()


def test_every_public_name_has_a_page() -> None:
    for name in observatory.__all__:
        text = PAGES[f"api/observatory/{name}.rst"]
        assert f"observatory.{name}" in text or ":doc:`/api/questions" in text
    for name in dir(fits):
        assert f".. autofunction:: observatory.fits.{name}\n" in PAGES[f"api/questions/{name}.rst"]


@pytest.mark.parametrize("kind", ["task", "model", "loss", "optimizer", "probe", "event"])
def test_every_component_has_a_page(kind: str) -> None:
    folder = f"{kind}es" if kind == "loss" else f"{kind}s"
    assert folder in KINDS
    for module in components(kind):
        package = "/".join([folder, *module.split(".")[:-1]])
        assert f".. automodule:: observatory.{folder}.{module}\n" in PAGES[f"api/{package}.rst"]


def test_every_estimator_has_a_place() -> None:
    for module in components("fit"):
        if ".estimators." in module:
            folder = module.partition(".")[0]
            place = PAGES[f"api/estimators/{folder}.rst"]
            assert f".. automodule:: observatory.analysis.{module}\n" in place


def test_every_guide_is_listed_once_under_a_theme() -> None:
    listed = [link for _, links in themes(INDEX) for link in links]
    there = {path.name for path in (ROOT / "docs").glob("*.md")} - {"index.md"}
    notebooks = {f"examples/{path.name}" for path in (ROOT / "docs/examples").glob("*.ipynb")}
    assert set(listed) == there | notebooks | {"../CONTRIBUTING.md"}
    assert len(listed) == len(set(listed))


def test_every_figure_says_what_makes_it_again() -> None:
    page = (ROOT / "docs" / "reproducibility.md").read_text()
    for figure in (ROOT / "docs").glob("*.png"):
        assert f"]({figure.name})" in page


def test_links_of_the_repository_become_those_of_the_site() -> None:
    text = (
        "[a](docs/fits.md#b) [c](CONTRIBUTING.md) [d](https://x.y/z.md)\n```\n[e](docs/f.md)\n```\n"
    )
    assert relinked(text, "README.md") == (
        "[a](fits.md#b) [c](contributing.md) [d](https://x.y/z.md)\n```\n[e](docs/f.md)\n```\n"
    )
    assert relinked("[a](../README.md)", "docs/fits.md") == "[a](index.md)"
    assert relinked("[h.py](../observatory/watch/h.py)", "docs/watch.md") == (
        "{py:mod}`h.py <observatory.watch.h>`"
    )


def test_docstrings_keep_their_letters_and_equations() -> None:
    lines = [r"Norm $\lVert W_E \rVert$ of `W_E`, |x| of W_.", "", "    >>> a * `b`"]
    assert translated(lines) == [
        r"Norm :math:`\lVert W_E \rVert` of ``W_E``, \|x\| of W\_.", "", "    >>> a * `b`"
    ]  # fmt: skip


def test_links_that_lead_nowhere_are_found(tmp_path: Path) -> None:
    (tmp_path / "a.html").write_text(
        '<p id="here"><a href="#here"></a><a href="b.html#there"></a><img src="c.png"></p>'
        '<a href="https://x.y"></a><a href="b.html"></a><a href="#nowhere"></a>'
    )
    (tmp_path / "b.html").write_text("<p></p>")
    assert broken(tmp_path) == ["a.html: b.html#there", "a.html: c.png", "a.html: #nowhere"]
