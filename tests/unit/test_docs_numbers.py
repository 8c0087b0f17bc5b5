"""What the docs quote is what the stored tables and studies give."""

import pytest

from tests.docs_numbers import MARKED, NUMBERS, PAGES, stale
from tests.normal_ratio import normal_ratio


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_the_docs_quote_what_is_stored() -> None:
    assert stale(write=False) == []


def test_every_number_has_its_place_and_every_place_its_number() -> None:
    places = [m[2] for page in PAGES for m in MARKED.finditer(page.read_text(encoding="utf-8"))]
    opened = sum(page.read_text(encoding="utf-8").count("<!-- numbers:") for page in PAGES)
    assert set(places) == set(NUMBERS)
    assert len(places) == opened


def test_the_largest_of_normal_entries() -> None:
    """Of two values by hand: E max |N| = 2 / sqrt(pi), over the median 0.67449."""
    assert normal_ratio(2) == pytest.approx(2 / 3.141592653589793**0.5 / 0.6744897502, rel=1e-6)
    assert normal_ratio(65_536) == pytest.approx(6.587, abs=5e-4)
