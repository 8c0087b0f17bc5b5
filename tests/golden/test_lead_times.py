"""Published lead times: their regressions to the digits printed, and what their null makes of them.

Source: arXiv:2602.16967, its tables of runs (SCAN 11, Dyck 15; the text says 14, its fit is of 15).
"""

import numpy as np
import pandas as pd
import pytest

from observatory.analysis.forecast.question import lead_times

SCAN = (
    *((3000, 115000), (1000, 14500), (2000, 27000), (2000, 14000), (700, 6500), (1700, 7000)),
    *((1000, 7200), (1000, 1800), (1500, 16000), (1500, 4000), (800, 1700)),
)
DYCK = (
    *((3000, 68000), (13500, 29000), (1000, 44000), (9000, 32000), (600, 5800), (400, 6800)),
    *((1000, 10800), (200, 2900), (200, 4400), (200, 7500), (500, 2100), (1000, 1200)),
    *((900, 11900), (300, 2900), (200, 3700)),
)


@pytest.mark.parametrize(
    ("runs", "published", "honest", "null", "p"),
    [
        (SCAN, (1.180, 0.990), (0.28, 0.56), (1.44, 0.886), 0.053),
        (DYCK, (1.132, 0.908), (0.76, 0.46), (1.28, 0.759), 0.043),
    ],
)
def test_published_lead_laws_are_what_permuted_onsets_give(
    runs: tuple, published: tuple, honest: tuple, null: tuple, p: float
) -> None:
    """Slopes and R2 to the digits printed; medians of the null to 0.02, three times their error."""
    frame = pd.DataFrame(runs, columns=["onset", "t_grok"])
    found = lead_times(frame, onset="onset").record["extras"]
    assert (found["lead_slope"], found["lead_r2"]) == pytest.approx(published, abs=6e-4)
    assert (found["slope"], found["r2"]) == pytest.approx(honest, abs=6e-3)
    assert (found["null_slope"], found["null_r2"]) == pytest.approx(null, abs=0.02)
    assert found["p_lead"] == pytest.approx(p, abs=0.01)


def test_onsets_that_know_their_events_are_found() -> None:
    """Onsets at half the event: the slope of onsets is 1, and permuted ones never fit as well."""
    t = np.geomspace(1e3, 1e5, 15)
    frame = pd.DataFrame({"onset": t / 2 * np.exp(0.1 * np.sin(np.arange(15))), "t_grok": t})
    found = lead_times(frame, onset="onset")
    assert found.params["onset_slope"] == pytest.approx(1.0, abs=0.05)
    assert found.record["extras"]["p_onset"] < 1e-3
