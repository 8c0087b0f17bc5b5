"""The links of the finite-size chain, each against closed forms and plain loops."""

import numpy as np
import pytest

from observatory.analysis.scaling.estimators.binder import (
    Crossings,
    crossings,
    cumulant,
    cumulants,
    dominant_crossing,
)
from observatory.analysis.scaling.estimators.collapse_quality import (
    Collapse,
    minimise_each,
    standard_errors,
    within_one,
)
from observatory.analysis.scaling.estimators.found import (
    crossover_draws,
    student_parameter,
    tail_share,
)
from observatory.analysis.scaling.estimators.remarks import neighbour_correlation
from observatory.analysis.scaling.estimators.sample import (
    Moments,
    Sample,
    in_cells,
    moments,
    resampled,
    thinned,
)
from observatory.analysis.scaling.estimators.sharpening import (
    shared_curve,
    sharpening,
    sigmoid_grid,
)
from observatory.analysis.scaling.estimators.susceptibility import fit_laws, peaks
from observatory.analysis.scaling.estimators.unimodality import LEVELS, cell_dips, dip, two_groups
from tests.made_sizes import SIZES, rows_of, scaled


def sample_of(**planted: float) -> Sample:
    return in_cells(scaled(np.random.default_rng(0), **planted), 5)[0]


def once(sample: Sample) -> Moments:
    return moments(sample, sample.deviation, np.ones((1, sample.value.size)))


def test_moments_are_those_of_repeated_rows() -> None:
    sample = sample_of(n_seeds=6)
    weights = resampled(sample, 3, np.random.default_rng(1))
    found = moments(sample, sample.deviation, weights)
    for draw in range(3):
        for cell in (0, 7, sample.pivot.size - 1):
            rows = sample.of_cell == cell
            repeated = np.repeat(sample.value[rows], weights[draw, rows].astype(int))
            assert found.n[draw, cell] == 6
            assert found.mean[draw, cell] == pytest.approx(repeated.mean(), abs=1e-12)
            assert found.variance[draw, cell] == pytest.approx(repeated.var(ddof=1), rel=1e-9)
            centred = repeated - repeated.mean()
            assert found.third[draw, cell] == pytest.approx((centred**3).mean(), abs=1e-12)
            assert found.fourth[draw, cell] == pytest.approx((centred**4).mean(), rel=1e-8)


def test_seeds_are_drawn_whole_within_a_size_and_alone_where_they_do_not_recur() -> None:
    rows = scaled(np.random.default_rng(0), n_seeds=8)
    sample = in_cells(rows, 5)[0]
    weights = resampled(sample, 4, np.random.default_rng(0)).reshape(4, len(SIZES), 25, 8)
    assert (weights == weights[:, :, :1]).all()
    assert not (weights[:, 0, 0] == weights[:, 1, 0]).all()
    alone = in_cells(type(rows)(rows.size, rows.control, rows.value, None, "m"), 5)[0]
    weights = resampled(alone, 4, np.random.default_rng(0)).reshape(4, len(SIZES), 25, 8)
    assert not (weights == weights[:, :, :1]).all()
    assert (weights.sum(axis=-1) == 8).all()


def test_cumulants_of_samples_equal_their_definition() -> None:
    sample = sample_of(n_seeds=9)
    found = cumulants(once(sample))
    lowest = sample.pivot.min()
    for cell in (0, 30, 60):
        m = sample.value[sample.of_cell == cell]
        for kind, origin in (("raw", 0.0), ("centred", m.mean()), ("shifted", lowest)):
            x = m - origin
            wanted = 1.0 - (x**4).mean() / (3.0 * (x**2).mean() ** 2)
            assert found[kind][0, cell] == pytest.approx(wanted, abs=1e-9)


def test_normal_scatter_through_zero_has_a_cumulant_of_zero_without_any_transition() -> None:
    """The artefact that a raw cumulant alone would take for a transition."""
    one = np.ones((1, 3))
    mean = np.array([[-3.0, 0.0, 3.0]])
    normal = Moments(one, mean, one, 0.0 * one, 3.0 * one)
    assert cumulant(normal, 0.0)[0, 1] == pytest.approx(0.0, abs=1e-15)
    assert cumulant(normal, 0.0)[0, 0] > 0.5
    assert cumulant(normal, mean)[0] == pytest.approx([0.0] * 3, abs=1e-15)
    assert np.isnan(cumulant(Moments(one, 0 * one, 0 * one, 0 * one, 0 * one), 0.0)).all()


def test_the_crossing_with_area_on_both_sides_wins() -> None:
    x = np.linspace(0.0, 1.0, 101)
    wiggle = 0.01 * np.sign(np.sin(60.0 * x))
    curve = np.where(np.abs(x - 0.6) < 0.3, x - 0.6, wiggle)
    assert dominant_crossing(x, curve[None], np.ones(101))[0] == pytest.approx(0.6, abs=1e-9)
    assert np.isnan(dominant_crossing(x, np.ones((1, 101)), np.ones(101))[0])
    loud = np.where(x > 0.3, 100.0, 1.0)  # noise hides the one at 0.6
    assert dominant_crossing(x, curve[None], loud)[0] < 0.31


def test_crossings_of_curves_that_scale_are_at_the_critical_point() -> None:
    sample = sample_of()
    size = sample.sizes[sample.of_size]
    curve = np.tanh((sample.control - 0.41) * size / 16.0)[None]
    found = crossings(sample, curve, np.ones(sample.pivot.size))
    assert found.place.shape == (1, 10)
    assert found.place[0] == pytest.approx([0.41] * 10, abs=2e-3)
    at, slope, spread = found.drift(np.ones(10))
    assert at[0] == pytest.approx(0.41, abs=2e-3)
    assert abs(slope[0]) < 0.05
    assert spread[0] < 2e-3


def test_drift_is_a_line_in_inverse_size_and_needs_three_pairs() -> None:
    inverse = np.array([0.1, 0.2, 0.4, 0.5])
    place = np.stack([0.3 + 2.0 * inverse, np.array([0.3, np.nan, np.nan, 0.4])])
    at, slope, spread = Crossings(inverse, place).drift(np.ones(4))
    assert (at[0], slope[0]) == pytest.approx((0.3, 2.0), abs=1e-12)
    assert spread[0] == pytest.approx(np.std(place[0]))
    assert np.isnan([at[1], slope[1], spread[1]]).all()


@pytest.mark.parametrize("exponent", [0.0, 0.5, 1.0])
def test_the_exponent_of_the_width_without_noise(exponent: float) -> None:
    """Tolerance: half a step of the grid of exponents, 0.05, and the steps of the widths."""
    sample = sample_of(inverse_nu=exponent, noise=1e-4, n_control=41)
    mean = once(sample).mean
    grid = sigmoid_grid(sample, np.full(sample.pivot.size, 0.01), 161, 80)
    found = sharpening(grid, mean)
    assert found.exponent[0] == pytest.approx(exponent, abs=0.04)
    if exponent == 0.0:
        assert np.exp(found.log_width[0]) == pytest.approx(0.05, rel=0.1)


def test_smooth_crossovers_have_the_fitted_means_and_the_scatter_of_their_neighbours() -> None:
    sample = sample_of(inverse_nu=0.0)
    se = standard_errors(sample, once(sample).variance, 0.005)[0]
    grid = sigmoid_grid(sample, se, 121, 50)
    fitted, distance = shared_curve(grid, sample, float(np.log(0.05)))
    drawn = crossover_draws(sample, fitted, distance, 400, np.random.default_rng(2))
    found = moments(sample, drawn, np.ones((1, sample.value.size)))
    assert np.abs(found.mean.mean(axis=0) - fitted).max() < 0.02
    middle = np.abs(sample.control - 0.4) < 0.03
    ratio = found.variance.mean(axis=0)[middle] / once(sample).variance[0][middle]
    assert ratio.mean() == pytest.approx(1.0, abs=0.2)
    assert tail_share(1.0, np.array([0.0, 2.0, 0.5])) == 0.5


def test_laws_of_growth_are_told_apart_without_noise() -> None:
    size = np.array([10.0, 20, 40, 80, 160, 320, 640])
    rng = np.random.default_rng(0)
    jitter = np.exp(1e-3 * rng.normal(size=7))
    laws = {
        "power": size**0.7,
        "logarithm": np.log(size / 5.0),
        "saturating": -np.expm1(-size / 60.0),
        "hill": size**2.5 / (70.0**2.5 + size**2.5),
        "constant": np.ones(7),
    }
    for law, chi in laws.items():
        found = fit_laws(size, (chi * jitter)[None])
        assert min(found.aicc, key=lambda name: found.aicc[name][0]) == law, law
    assert fit_laws(size, (size**0.7)[None]).exponent[0] == pytest.approx(0.7, abs=1e-12)
    few = fit_laws(size[:5], np.ones((1, 5)))
    assert np.isinf(few.aicc["hill"][0])
    assert np.isfinite(few.aicc["power"][0])


def test_chi_uses_one_number_of_seeds_for_all_sizes() -> None:
    sample = sample_of(n_seeds=12)
    found = peaks(sample, once(sample))
    variance = np.array([sample.value[sample.of_cell == c].var(ddof=1) for c in range(25)])
    assert found[0, 0] == pytest.approx(12 * variance.max(), rel=1e-9)


def plain_dip(x: np.ndarray, levels: np.ndarray) -> float:
    """Half the largest difference of excess masses, over every interval and pair of intervals."""
    x = np.sort(x)
    n, span = x.size, x[-1] - x[0]
    best = 0.0
    for level in levels / span:
        ends = [(i, j) for i in range(n) for j in range(i, n)]
        mass = {(i, j): (j - i + 1) / n - level * (x[j] - x[i]) for i, j in ends}
        one = max(mass.values())
        two = max(mass[a] + mass[b] for a in ends for b in ends if a[1] < b[0])
        best = max(best, 0.5 * (two - one))
    return best


def test_the_dip_equals_the_plain_one_and_finds_two_groups() -> None:
    rng = np.random.default_rng(0)
    samples = rng.normal(size=(3, 9)) + 4.0 * (rng.random((3, 9)) < 0.5)
    assert dip(samples) == pytest.approx([plain_dip(x, LEVELS) for x in samples], abs=1e-12)
    assert dip(np.ones((1, 5)))[0] == 0.0
    control = np.linspace(0.0, 1.0, 5)
    groups = (rng.random((3, 5, 40)) < 0.5) + 0.05 * rng.normal(size=(3, 5, 40))
    sample = in_cells(rows_of(groups, (1.0, 2.0, 4.0), control), 5)[0]
    assert two_groups(sample, cell_dips(sample, 999, rng)[1]).max() < 0.05
    one = in_cells(rows_of(rng.normal(size=(3, 5, 40)), (1.0, 2.0, 4.0), control), 5)[0]
    assert two_groups(one, cell_dips(one, 999, rng)[1]).min() > 0.05


def test_many_searches_at_once_find_what_each_has() -> None:
    target = np.array([[1.0, 2.0], [-3.0, 0.5], [0.0, 0.0]])

    def bowl(point: np.ndarray, which: np.ndarray) -> np.ndarray:
        away = point - target[which]
        return away[:, 0] ** 2 + 10.0 * away[:, 1] ** 2 + 0.5 * np.prod(away, axis=1)

    found, value = minimise_each(bowl, np.full((3, 2), 5.0), np.array([0.5, 0.5]), 400, 1e-14)
    assert found == pytest.approx(target, abs=1e-5)
    assert value.max() < 1e-9


def plain_quality(sample: Sample, mean, se, critical: float, a: float, b: float) -> float:
    """S by loops, as the paper's appendix has it."""
    length = np.exp(np.log(sample.sizes) - np.log(sample.sizes).mean())[sample.of_size]
    x, y, dy = (sample.control - critical) * length**a, mean * length**-b, se * length**-b
    total, count = 0.0, 0
    for i in range(x.size):
        chosen: list[int] = []
        for size in set(sample.of_size.tolist()) - {int(sample.of_size[i])}:
            cells = sample.cells_of(size)
            below, above = cells[x[cells] < x[i]], cells[x[cells] >= x[i]]
            if below.size and above.size:
                chosen += [int(below[-1]), int(above[0])]
        if not chosen:
            continue
        w, xs, ys = 1.0 / dy[chosen] ** 2, x[chosen], y[chosen]
        k, kx, ky = w.sum(), (w * xs).sum(), (w * ys).sum()
        kxx, kxy = (w * xs * xs).sum(), (w * xs * ys).sum()
        delta = k * kxx - kx**2
        line = (kxx * ky - kx * kxy) / delta + x[i] * (k * kxy - kx * ky) / delta
        variance = (kxx - 2.0 * x[i] * kx + x[i] ** 2 * k) / delta
        total += (y[i] - line) ** 2 / (dy[i] ** 2 + variance)
        count += 1
    return total / count


def test_the_quality_equals_the_plain_one() -> None:
    sample = sample_of(n_control=9)
    own = once(sample)
    se = standard_errors(sample, own.variance, 0.005)
    problem = Collapse(sample, own.mean, se, 0.1, None, 50)
    points = np.array([[0.401, 1.0, 0.0], [0.37, 0.4, -0.3], [0.45, 1.6, 0.2]])
    wanted = [plain_quality(sample, own.mean[0], se[0], *point) for point in points]
    assert problem.quality(points, np.zeros(3, np.int64)) == pytest.approx(wanted, rel=1e-9)
    outside = problem.quality(np.array([[0.7, 1.0, 0.0]]), np.zeros(1, np.int64))
    assert np.isinf(outside[0])


def test_a_width_with_a_limit_is_told_from_one_without() -> None:
    """w = w0 (1 + c / L) keeps 80 % of what it is at the largest size; w = w0 / L nothing."""
    control = np.linspace(0.2, 0.6, 15)
    length = np.array(SIZES, dtype=float)[:, None, None]
    z = np.random.default_rng(0).normal(size=(len(SIZES), control.size, 20))
    for width, best in ((0.02 * (1.0 + 64.0 / length), "limit"), (3.0 / length, "none")):
        u = np.clip((control[None, :, None] - 0.4) / width, -500.0, 500.0)
        value = 1.0 / (1.0 + np.exp(-u)) + 0.15 * (0.3 + np.exp(-(u**2) / 4.0)) * z
        sample = in_cells(rows_of(value, SIZES, control), 5)[0]
        own = once(sample)
        se = standard_errors(sample, own.variance, 0.005)
        problem = Collapse(sample, own.mean, se, 0.5, 0.0, 200)
        start = np.array([[0.4, a, 0.0] for a in (0.2, 0.5, 1.0)])
        numbers, quality = problem.search(start, np.zeros(3, dtype=np.int64))
        limited = problem.with_a_limit(numbers[np.argmin(quality)])
        assert (limited < quality.min()) == (best == "limit")


def test_limits_where_a_profile_rises_by_one() -> None:
    value = np.linspace(-3.0, 3.0, 13)
    low, high = within_one(value, 1.0 + value**2, 1.0)
    assert low == pytest.approx(-1.0, abs=1e-12)
    assert high == pytest.approx(1.0, abs=1e-12)
    assert within_one(value, np.ones(13), 1.0) == (None, None)


def test_thinned_cells_keep_their_rows() -> None:
    sample = sample_of(n_seeds=6)
    keep = np.arange(sample.pivot.size) % 2 == 0
    thin = thinned(sample, keep)
    assert thin.pivot == pytest.approx(sample.pivot[keep])
    assert np.bincount(thin.of_cell, thin.value) / thin.n == pytest.approx(thin.pivot)


def test_a_seed_that_stays_alike_along_the_control_is_noticed() -> None:
    rng = np.random.default_rng(0)
    own = rng.normal(size=(3, 1, 20)) + 0.1 * rng.normal(size=(3, 6, 20))
    sample = in_cells(rows_of(own, (1.0, 2.0, 4.0), np.arange(6.0)), 5)[0]
    assert (neighbour_correlation(sample) or 0.0) > 0.9
    assert abs(neighbour_correlation(sample_of()) or 0.0) < 0.1


def test_few_seeds_have_students_limits() -> None:
    """Draws of spread 1 about 0 of five seeds: 2.776 * sqrt(5 / 4), not 1.96."""
    draws = np.random.default_rng(0).normal(size=4000)
    draws = (draws - draws.mean()) / draws.std(ddof=1)
    found = student_parameter(3.0, np.append(draws, np.nan), 5, 0.95)
    assert found.ci_high == pytest.approx(3.0 + 2.77645 * 1.25**0.5, abs=1e-4)
    assert found.ci_low == pytest.approx(6.0 - float(found.ci_high or 0.0))
    assert found.se == pytest.approx(1.0)
    assert student_parameter(3.0, draws, 1, 0.95).ci_low is None
