"""The batched solver against finite differences, scipy's likelihoods and closed forms."""

import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.special import log_ndtr, logsumexp
from scipy.stats import CensoredData, fisk, lognorm, norm, weibull_min

from observatory.analysis.stats.observations import Observations
from observatory.analysis.times.estimators.aft import (
    EXACT,
    INTERVAL,
    LEFT,
    RIGHT,
    Records,
    gathered,
    likelihood,
    maximise,
    records_of,
)
from observatory.analysis.times.estimators.aft_errors import ERRORS
from observatory.analysis.times.estimators.aft_law import Times
from observatory.analysis.times.estimators.rivals import offset_law
from observatory.analysis.times.estimators.watched import LookGrid, watched_records

NAMES = sorted(ERRORS)
FROZEN = {"weibull": weibull_min, "lognormal": lognorm, "loglogistic": fisk}


def mixed(seed: int) -> tuple[Records, np.ndarray]:
    """Records of all four kinds about 300 / weight_decay, and weights of three tables."""
    rng = np.random.default_rng(seed)
    kind = np.sort(rng.choice([EXACT, INTERVAL, LEFT, RIGHT], p=[0.3, 0.4, 0.05, 0.25], size=60))
    control = rng.choice([0.1, 0.2, 0.5, 1.0], size=60)
    time = 300.0 / control * np.exp(0.4 * rng.normal(size=60))
    width = np.select([kind == EXACT, kind == INTERVAL], [1.0, np.log1p(25.0 / time)], 0.0)
    return Records(kind, np.log(time), width, control), rng.integers(0, 3, (3, 60)).astype(float)


@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize("name", NAMES)
def test_gradient_and_hessian_are_those_of_the_value(name: str, seed: int) -> None:
    """Central differences with steps of 1e-6: relative 1e-7 is what they can show."""
    records, weights = mixed(seed)
    u = np.log(records.control)
    theta = np.array([[3.0, -15.0, 2.5], [2.0, -10.0, 1.9], [1.5, -9.0, 1.0]])
    _, gradient, hessian = likelihood(ERRORS[name], records, u, weights, theta)
    for i, step in enumerate(1e-6 * np.eye(3)):
        up = likelihood(ERRORS[name], records, u, weights, theta + step)
        down = likelihood(ERRORS[name], records, u, weights, theta - step)
        slope, bend = (up[0] - down[0]) / 2e-6, (up[1] - down[1]) / 2e-6
        assert np.abs(slope - gradient[:, i]).max() < 1e-7 * np.abs(gradient).max()
        assert np.abs(bend - hessian[:, i]).max() < 1e-7 * np.abs(hessian).max()


@pytest.mark.parametrize("name", NAMES)
def test_the_likelihood_is_scipys(name: str) -> None:
    """Densities are of ln t, scipy's of t: they differ by ln t of the exact records."""
    records, weights = mixed(2)
    tau, c, d = 2.5, -14.0, 2.2
    z0 = c + d * np.log(records.control)
    shape = {"weibull": {"c": tau}, "lognormal": {"s": 1.0 / tau}, "loglogistic": {"c": tau}}[name]
    law = FROZEN[name](**shape, scale=np.exp(-z0 / tau))
    time, high = np.exp(records.log_time), np.exp(records.log_time + records.width)
    kinds = [records.kind == kind for kind in (EXACT, INTERVAL, LEFT, RIGHT)]
    with np.errstate(divide="ignore"):  # of the kinds that are not chosen
        terms = np.select(
            kinds,
            [
                law.logpdf(time) + records.log_time,
                np.log(law.cdf(high) - law.cdf(time)),
                law.logcdf(time),
                law.logsf(time),
            ],
        )
    theta = np.tile([tau, c, d], (3, 1))
    value = likelihood(ERRORS[name], records, np.log(records.control), weights, theta)[0]
    # what scipy's difference of two distribution functions loses in the upper tail
    assert value == pytest.approx(weights @ terms, rel=1e-6)


@pytest.mark.parametrize("name", NAMES)
def test_maxima_are_those_of_a_plain_minimiser(name: str) -> None:
    """Nelder-Mead in (ln sigma, ln A, nu) on the same value, one table at a time: 1e-5."""
    records, weights = mixed(3)
    errors, u = ERRORS[name], np.log(records.control)
    found = maximise(errors, records, u, weights, np.tile([1.0, -6.0, 1.0], (3, 1)))

    def loss(x: np.ndarray, row: np.ndarray) -> float:
        tau = np.exp(-x[0])
        theta = np.array([[tau, errors.median - tau * x[1], tau * x[2]]])
        return -float(likelihood(errors, records, u, row[None], theta)[0][0])

    for i, row in enumerate(weights):
        plain = minimize(
            loss,
            [-1.0, 5.7, 1.0],
            args=(row,),
            method="Nelder-Mead",
            options={"xatol": 1e-9, "fatol": 1e-11, "maxiter": 4000},
        )
        tau, c, d = found.theta[i]
        ours = [-np.log(tau), (errors.median - c) / tau, d / tau]
        assert ours == pytest.approx(plain.x, abs=1e-5)
        assert found.loglik[i] == pytest.approx(-plain.fun, abs=1e-8)


@pytest.mark.parametrize("name", NAMES)
def test_one_group_is_scipys_censored_fit(name: str) -> None:
    """scipy's `fit` on `CensoredData` with location 0; its optimiser stops at about 1e-4."""
    rng = np.random.default_rng(4)
    time = 400.0 * rng.weibull(3.0, size=80)
    exact, inside, late = time[:20], time[20:60], np.full(20, 420.0)
    low = 25.0 * np.floor(inside / 25.0)
    low = np.where(low <= 0, 25.0, low)
    data = CensoredData(exact, right=late, interval=np.column_stack([low, low + 25.0]))
    with np.errstate(all="ignore"):
        *shape, _, scale = FROZEN[name].fit(data, floc=0)
    sigma = shape[0] if name == "lognormal" else 1.0 / shape[0]
    records = Records(
        np.repeat([EXACT, INTERVAL, RIGHT], [20, 40, 20]),
        np.log(np.concatenate([exact, low, late])),
        np.concatenate([np.ones(20), np.log1p(25.0 / low), np.zeros(20)]),
        np.ones(80),
    )
    start = np.array([[1.0, -6.0]])
    tau, c = maximise(ERRORS[name], records, None, np.ones((1, 80)), start).theta[0]
    assert (1.0 / tau, np.exp(-c / tau)) == pytest.approx((sigma, scale), rel=1e-3)


def test_complete_log_normal_times_are_least_squares() -> None:
    rng = np.random.default_rng(5)
    u = np.log(np.repeat([0.1, 0.3, 1.0], 10))
    y = 5.7 - 0.9 * u + 0.3 * rng.normal(size=30)
    records = Records(np.full(30, EXACT), y, np.ones(30), np.exp(u))
    tau, c, d = maximise(
        ERRORS["lognormal"], records, u, np.ones((1, 30)), np.array([[1.0, -6.0, 1.0]])
    ).theta[0]
    slope, offset = np.polyfit(u, y, 1)
    assert (-d / tau, -c / tau) == pytest.approx((slope, offset), rel=1e-9)
    assert 1.0 / tau**2 == pytest.approx(np.mean((y - offset - slope * u) ** 2), rel=1e-9)


def test_complete_exponential_like_weibull_has_its_score_zero() -> None:
    """The closed form given the shape: mean of t^shape is scale^shape."""
    time = np.array([120.0, 200.0, 340.0, 500.0, 510.0])
    records = Records(np.full(5, EXACT), np.log(time), np.ones(5), np.ones(5))
    tau, c = maximise(
        ERRORS["weibull"], records, None, np.ones((1, 5)), np.array([[1.0, -6.0]])
    ).theta[0]
    assert np.mean(time**tau) == pytest.approx(np.exp(-c), rel=1e-9)


@pytest.mark.parametrize("z", [-35.0, -8.0, 0.0, 8.0, 35.0])
@pytest.mark.parametrize("w", [1e-6, 1e-2, 3.0])
def test_no_tail_loses_its_digits(z: float, w: float) -> None:
    """Against log-space differences: normal by log_ndtr, logistic by its product, extreme by hand.

    A difference of two close logarithms keeps 1e-16 / w of its digits.
    """
    at, wide = np.array([z]), np.array([w])
    low, high = (-z - w, -z) if z > 0 else (z, z + w)
    upper = logsumexp([log_ndtr(high), log_ndtr(low)], b=[1.0, -1.0])
    assert ERRORS["lognormal"].mass(at, wide)[0][0] == pytest.approx(upper, rel=1e-9, abs=1e-9 / w)
    logistic = -np.logaddexp(0, -(z + w)) - np.logaddexp(0, z) + np.log(-np.expm1(-w))
    assert ERRORS["loglogistic"].mass(at, wide)[0][0] == pytest.approx(logistic, rel=1e-12)
    if z < 8:
        extreme = -np.exp(z) + np.log(-np.expm1(-np.exp(z) * np.expm1(w)))
        assert ERRORS["weibull"].mass(at, wide)[0][0] == pytest.approx(extreme, rel=1e-12)
    narrow = ERRORS["lognormal"].mass(at, np.array([1e-6]))[0][0]
    assert narrow - np.log(1e-6) == pytest.approx(norm.logpdf(z + 5e-7), rel=1e-6)


def test_a_narrow_interval_is_a_density() -> None:
    for errors in ERRORS.values():
        z = np.linspace(-3.0, 2.0, 7)
        mass = errors.mass(z - 5e-6, np.full(7, 1e-5))[0] - np.log(1e-5)
        assert mass == pytest.approx(errors.density(z)[0], abs=1e-8)
        assert errors.survival(errors.quantile(np.array([0.3])))[0] == pytest.approx(np.log(0.3))
        assert errors.survival(np.array([errors.median]))[0] == pytest.approx(np.log(0.5))


def test_records_keep_kinds_and_counts() -> None:
    """Exact where there is no lower end; before the first look; between two; never; collapsed."""
    nan = np.nan
    data = Observations(
        np.array([1.0, 1.0, 1.0, 0.1, 0.1, 0.1]),
        np.array([True, True, True, False, False, False]),
        np.array([100.0, 25.0, 50.0, nan, nan, nan]),
        "first99",
        500,
        None,
        time_lo=np.array([nan, 0.0, 25.0, nan, nan, nan]),
        watched=np.array([100.0, 25.0, 50.0, 500.0, 300.0, 200.0]),
        competing=np.array([False, False, False, False, True, False]),
    )
    records, index = records_of(data)
    assert records.kind.tolist() == [EXACT, INTERVAL, LEFT, RIGHT, RIGHT]
    assert np.exp(records.log_time) == pytest.approx([100.0, 25.0, 25.0, 200.0, 500.0])
    assert records.width == pytest.approx([1.0, np.log(2.0), 0.0, 0.0, 0.0])
    assert gathered(np.ones((1, 6)), index).tolist() == [[1.0, 1.0, 1.0, 1.0, 2.0]]


def test_weights_are_repeated_rows_and_problems_do_not_mix() -> None:
    records, weights = mixed(6)
    errors, u, start = ERRORS["weibull"], np.log(records.control), np.array([[1.0, -6.0, 1.0]])
    together = maximise(errors, records, u, weights, np.tile(start, (3, 1)))
    for i, row in enumerate(weights):
        times = row.astype(int)
        again = Records(*(np.repeat(a, times) for a in vars(records).values()))
        alone = maximise(errors, again, np.repeat(u, times), np.ones((1, times.sum())), start)
        assert alone.theta[0] == pytest.approx(together.theta[i], rel=1e-7)


def test_times_without_a_maximum_are_nan() -> None:
    """All at one time of one weight decay: the spread could shrink for ever."""
    records = Records(np.full(4, EXACT), np.full(4, 6.0), np.ones(4), np.ones(4))
    found = maximise(ERRORS["lognormal"], records, None, np.ones((1, 4)), np.array([[1.0, -6.0]]))
    assert np.isnan(found.theta).all()
    assert found.loglik[0] == -np.inf
    with pytest.raises(ValueError, match="`start` must have 1 rows, got 2"):
        maximise(ERRORS["lognormal"], records, None, np.ones((1, 4)), np.ones((2, 2)))


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_the_offset_law_is_that_of_a_plain_minimiser(name: str) -> None:
    """Nelder-Mead in (ln sigma, ln A, nu, t0) from the truth: the likelihood to 5e-3, far below the
    difference of 1 that is looked at.
    """
    rng = np.random.default_rng(7)
    control = np.repeat([0.03, 0.1, 0.3, 1.0], 15)
    errors = ERRORS[name]
    z = errors.quantile(1.0 - rng.random(60)) - errors.median
    y = np.log(120.0 + 100.0 * control**-1.1) + 0.1 * z
    records = Records(np.full(60, EXACT), y, np.ones(60), control)
    found = offset_law(Times(errors, records, np.ones((1, 60))), np.array([5.0, -30.0]))

    def loss(x: np.ndarray) -> float:
        u = -np.log(np.abs(x[3]) + np.exp(x[1]) * control ** -x[2])
        tau = np.exp(-x[0])
        theta = np.array([[tau, errors.median, tau]])
        return -float(likelihood(errors, records, u, np.ones((1, 60)), theta)[0][0])

    plain = minimize(
        loss,
        [np.log(0.1), np.log(100.0), 1.1, 120.0],
        method="Nelder-Mead",
        options={"xatol": 1e-6, "fatol": 1e-9, "maxiter": 4000},
    )
    assert found.loglik == pytest.approx(-plain.fun, abs=5e-3)
    assert found.nu == pytest.approx(plain.x[2], abs=0.01)
    assert found.offset == pytest.approx(plain.x[3], abs=3.0)


def test_rows_counted_by_their_looks_have_the_likelihood_of_each() -> None:
    rng = np.random.default_rng(0)
    control = np.repeat([0.1, 0.3, 1.0], 20)
    end = np.where(np.arange(60) % 7 == 0, 1.0, 600.0)
    time = 150.0 / control * np.exp(rng.normal(0.0, 1.0, (4, 60)))
    time[0, :20] = np.inf
    theta = np.array([[1.2, -7.0, 0.4]])
    grid = LookGrid.of(control, end, 25.0)
    counted, each = grid.records(grid.counted(time)), watched_records(time, control, end, 25.0)
    assert counted[0].kind.size < 60
    for name in ERRORS:
        found, plain = (
            likelihood(ERRORS[name], records, np.log(records.control), weights, theta)
            for records, weights in (counted, each)
        )
        for one, other in zip(found, plain, strict=True):
            assert one == pytest.approx(other, rel=1e-10)
