"""Maps of amounts: colours are ordered in print, on a light page and on a dark one."""

from pathlib import Path

import numpy as np
import pytest
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from numpy.typing import NDArray

from observatory.analysis import report
from observatory.analysis.page.amounts import AMOUNTS, draw_amounts

CSS = Path(report.__file__).parent / "templates" / "style.css"


def lightness(colours: NDArray[np.float64]) -> NDArray[np.float64]:
    """L* of CIE of sRGB colours, `[n, 3]`."""
    linear = np.where(colours <= 0.04045, colours / 12.92, ((colours + 0.055) / 1.055) ** 2.4)
    y = linear @ [0.2126, 0.7152, 0.0722]
    return np.where(y > 216 / 24389, 116 * np.cbrt(y) - 16, y * 24389 / 27)


def as_on_a_dark_page(colours: NDArray[np.float64]) -> NDArray[np.float64]:
    """What the filter of the page's style makes of them; the matrix is CSS's, of 180 degrees."""
    assert ".drawing svg { filter: invert(.92) hue-rotate(180deg); }" in CSS.read_text()
    turned = 0.92 - 0.84 * colours
    matrix = [[-0.574, 1.43, 0.144], [0.426, 0.43, 0.144], [0.426, 1.43, -0.856]]
    return turned @ np.array(matrix).T


def scale() -> NDArray[np.float64]:
    return AMOUNTS(np.linspace(0, 1, 21))[:, :3]


def test_the_least_amount_is_close_to_the_ground_of_both_pages():
    light = scale()
    assert lightness(light)[0] > 95
    assert lightness(as_on_a_dark_page(light))[0] < 12


def test_lightness_alone_orders_the_amounts_on_both_pages():
    light = scale()
    dark = as_on_a_dark_page(light)
    assert dark.min() > 0  # no colour is cut off
    assert dark.max() < 1
    falls, rises = -np.diff(lightness(light)), np.diff(lightness(dark))
    for steps in (falls, rises):
        assert steps.min() > 1.9  # twenty steps that can be told apart in grey
        assert steps.max() < 3 * steps.min()


def test_what_was_not_read_has_no_colour_of_the_scale():
    axes = Figure().add_subplot()
    values = np.array([[1.0, np.nan], [2.0, 3.0]])
    edges = np.array([1.0, 10.0, 100.0])
    drawn = draw_amounts(axes, edges, values, norm=Normalize(0, 3), first=1, gid="map")
    drawn.update_scalarmappable()
    alpha = np.reshape(drawn.get_facecolor(), (2, 2, 4))[..., 3]
    assert alpha.tolist() == [[1, 0], [1, 1]]
    assert axes.patch.get_hatch()
    assert axes.get_ylim() == pytest.approx((0.5, 2.5))
