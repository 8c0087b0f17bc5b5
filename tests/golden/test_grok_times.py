"""Exponent of the times to grok, on the thirty published times.

Ordinary least squares of ln t has a closed form: six digits and more must agree; 1e-9 relative is
what summing in another order leaves. Source: arXiv:2605.20441, public aggregate (add, small; in
epochs).
"""

import numpy as np
import pytest

from observatory.analysis.fits.observations import Observations
from observatory.analysis.fits.times import TimePowerLaw

TIMES = {
    0.1: [890, 1120, 1130, 1100, 1090, 860, 1010, 1100, 1060],
    0.5: [190, 240, 220, 260, 200, 200, 190, 240, 210, 220],
    1.0: [120, 130, 130, 130, 130, 120, 120, 130],
    2.0: [70, 90, 80],
}
DECAYS = np.repeat(list(TIMES), [len(times) for times in TIMES.values()])
DATA = Observations(
    DECAYS,
    np.ones(DECAYS.size, dtype=bool),
    np.concatenate(list(TIMES.values())).astype(float),
    "verma",
    200_000,
    10,
    critical=0.015771145334983784,
)


@pytest.mark.parametrize(
    ("critical", "nu", "amplitude", "rms"),
    [
        ("boundary", 0.8415678066702839, 124.96261333348986, 0.10422822093740416),
        ("zero", 0.8940528270966672, 126.44752770593023, 0.11428882198256566),
    ],
)
def test_published_exponents(critical: str, nu: float, amplitude: float, rms: float) -> None:
    found = TimePowerLaw(
        critical=critical, window_max=2.0, n_grid=400, n_bootstrap=50, level=0.95
    ).fit(DATA, seed=0)
    assert found.n == 30
    assert abs(found.params["nu"].value / nu - 1) < 1e-9
    assert abs(found.params["amplitude"].value / amplitude - 1) < 1e-9
    assert abs(found.extras["rms_log"] / rms - 1) < 1e-9
