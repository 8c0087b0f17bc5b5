"""Posteriors as draws: against closed forms, grids and planted curves."""

import numpy as np
import pytest

from observatory.sweeps.acquisition import information
from observatory.sweeps.curve import CurveDraws, CurveParticles, CurvePrior, shapes
from observatory.sweeps.grid_posterior import GridPosterior, Prior
from observatory.sweeps.particles import updated
from observatory.sweeps.threshold import ThresholdDraws, ThresholdParticles, log_likelihood

VALUES = (0.3, 0.4, 0.6)
PRIOR = Prior(0.001, 1.0, n_controls=15)


def test_draws_of_a_normal_mean_and_its_evidence_are_those_of_the_closed_form() -> None:
    """Prior N(0, 1), twenty readings of scatter 0.5 with mean 2: five standard errors allowed."""
    rng = np.random.default_rng(0)
    n, mean, scatter = 20, 2.0, 0.5

    def new(theta: np.ndarray) -> np.ndarray:
        return -0.5 * n * (theta[:, 0] - mean) ** 2 / scatter**2

    start = rng.standard_normal((4000, 1))
    theta, evidence = updated(start, lambda at: -0.5 * at[:, 0] ** 2, new, rng)
    precision = 1.0 + n / scatter**2
    centre = (n * mean / scatter**2) / precision
    error = 5.0 / np.sqrt(precision * 4000)
    assert theta.mean() == pytest.approx(centre, abs=error)
    assert theta.std() == pytest.approx(precision**-0.5, rel=0.06)
    closed = -0.5 * np.log(precision) - 0.5 * n / scatter**2 / precision * mean**2
    assert evidence == pytest.approx(closed, abs=0.25)


def test_shapes_make_the_covariance_of_the_prior() -> None:
    values = tuple(np.geomspace(0.3, 0.9, 7).tolist())
    made = shapes(values)
    assert made.sum(axis=1) == pytest.approx(np.zeros(len(made)), abs=1e-9)
    spread = np.sqrt(np.square(made).sum(axis=0))
    assert spread[[0, -1]] == pytest.approx([0.8, 0.8], abs=0.05)  # half of the trend, and bends
    assert spread[3] < 0.35
    assert len(made) <= 6


def test_one_told_value_of_a_curve_is_as_the_grid_has_it() -> None:
    """Draws at a value with all the data: median and limits within 0.04 decades of the grid's."""
    control = np.geomspace(0.001, 1.0, 31)
    grokked = np.rint(10.0 / (1.0 + (control / 0.05) ** -12.0))
    n = np.full(31, 10.0)
    posterior = CurveParticles(CurvePrior(PRIOR, VALUES), np.random.default_rng(0))
    posterior.observe(control, np.full(31, 0.4), n, grokked)
    flat = GridPosterior(PRIOR)
    flat.observe(control, n, grokked)
    assert posterior.intervals(0.9)[:, 1] == pytest.approx(flat.interval(0.9), abs=0.04)
    _, low, high = posterior.intervals(0.9)
    assert (high - low)[[0, 2]].min() > 2.0 * (high - low)[1]
    assert posterior.interval(0.9)[2] - posterior.interval(0.9)[1] == pytest.approx(
        (high - low).max()
    )


def test_information_about_a_curve_is_near_that_of_the_grid_where_there_is_one_value() -> None:
    """Before any replica, of steep boundaries that are known to be steep: log 2 in the middle."""
    steep = Prior(0.001, 1.0, slopes=(60.0, 80.0), lapses=(0.0, 1e-3), n_controls=15)
    draws = CurveDraws(CurveParticles(CurvePrior(steep, VALUES), np.random.default_rng(0)), 4,
                         np.random.default_rng(1))  # fmt: skip
    control = draws.next(1, np.ones_like, lambda c, place: np.ones(c.size, bool))
    assert control is not None
    assert abs(np.log10(control) + 1.5) < 0.25
    nats, _ = draws._information(draws._weight, 1)
    grid = GridPosterior(steep)
    exact, _ = information(grid.chance_by_critical, grid.by_critical(grid.weight[None]))
    # Averaged over three values, of which the outcome is most informative about its own.
    assert 0.3 * exact.max() < nats.max() < exact.max()


def test_a_place_without_a_control_left_is_not_chosen() -> None:
    draws = CurveDraws(CurveParticles(CurvePrior(PRIOR, VALUES), np.random.default_rng(0)), 4,
                         np.random.default_rng(1))  # fmt: skip

    def allowed(control: np.ndarray, place: int) -> np.ndarray:
        return np.full(control.size, place == 2)

    assert draws.place(3, np.ones_like, allowed) == 2
    assert draws.next(0, np.ones_like, allowed) is None


def times(control: np.ndarray, critical: float, rng: np.random.Generator) -> np.ndarray:
    """log10 of times to grok as a share of the horizon, infinite at and below the threshold."""
    with np.errstate(divide="ignore"):
        far = np.log10(np.maximum(control - critical, 0.0) / (1.0 - critical))
    return -1.5 - 0.9 * far + 0.08 * rng.standard_normal(control.size)


@pytest.mark.slow
@pytest.mark.parametrize(("critical", "low", "high"), [(0.0, 0.0, 0.4), (0.05, 0.9, 1.0)])
def test_times_tell_whether_there_is_a_threshold(critical: float, low: float, high: float) -> None:
    """The mean chance over three sets of times."""
    control = np.geomspace(0.003, 1.0, 60)
    chances = []
    for seed in range(3):
        log_t = times(control, critical, np.random.default_rng(seed))
        posterior = ThresholdParticles(Prior(0.003, 1.0), np.random.default_rng(100 + seed), 600)
        assert posterior.chance == pytest.approx(0.5)
        posterior.observe(control, 10.0 ** np.minimum(log_t, 0.0), (log_t < 0).astype(float))
        chances.append(posterior.chance)
        if critical:
            _, least, most = posterior.interval(0.999)
            assert least < np.log10(critical) < most
    assert low <= np.mean(chances) <= high


def test_the_likelihood_of_times_is_a_density_with_what_is_left_for_the_censored() -> None:
    theta = np.array([[-1.0, 0.0, np.log(0.1), np.sqrt(0.1), -1.5]])
    log_t = np.linspace(-3.0, 0.0, 3001)
    for control in (0.02, 0.2):  # below and above the threshold
        seen = np.stack([np.full(3001, control), log_t, np.ones(3001)])
        density = np.array([np.exp(log_likelihood(theta, seen[:, [i]], 1.0)) for i in range(3001)])
        censored = np.exp(log_likelihood(theta, np.array([[control], [0.0], [0.0]]), 1.0))
        assert np.trapezoid(density[:, 0], log_t) + censored[0] == pytest.approx(1.0, abs=2e-3)


def test_a_replica_that_may_tell_both_answers_apart_is_asked_for() -> None:
    rng = np.random.default_rng(3)
    control = np.geomspace(0.1, 1.0, 20)
    posterior = ThresholdParticles(Prior(0.003, 1.0, n_controls=21), rng, 600)
    posterior.observe(control, 10.0 ** times(control, 0.05, rng), np.ones(20))
    draws = ThresholdDraws(posterior, 8, rng)
    nats, p = draws.information()
    assert nats.min() >= -1e-9
    assert np.all((p >= 0.0) & (p <= 1.0))
    asked = draws.next(np.ones_like, np.ones(draws.controls.size, bool))
    assert 0.01 < asked < 0.2  # the large ones are known, and far below all are censored
    draws.run(asked)
    assert draws.information()[0].max() < nats.max() + 0.2
