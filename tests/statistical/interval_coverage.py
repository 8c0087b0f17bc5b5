"""What the printed intervals cover, by the number of seeds.

`python -m tests.statistical.interval_coverage 200` prints the tables of docs/fits.md and, of times,
docs/fits_calibration_times.md, from so many studies per cell; a further word chooses rows that hold
it. Of boundaries: 12 weight decays from 0.02 to 1, evenly spaced on the log axis, the truth a
logistic of slope 8 per decade with its midpoint at 0.12. A window has its upper edge at 0.5.
Studies that a fit refuses are counted apart.
"""

import sys
from collections.abc import Callable, Iterable, Mapping
from functools import partial

import numpy as np
from scipy.stats import f

from observatory.analysis.boundary.estimators.beta_binomial import beta_binomial
from observatory.analysis.boundary.estimators.least_squares import BoundaryLsq
from observatory.analysis.boundary.estimators.likelihood import (
    SEPARATED,
    binomial,
    box,
    firth_box,
    firth_likelihood,
    fit_many,
    penalised,
    rates,
)
from observatory.analysis.boundary.estimators.maximum_likelihood import BoundaryMle
from observatory.analysis.boundary.estimators.ratio import boundary_ratio, penalised_profile
from observatory.analysis.boundary.estimators.window import require_window, second_edge_p
from observatory.analysis.stats.ascent import Evaluate, best_of, climb
from observatory.analysis.stats.bins import RateBins
from observatory.analysis.stats.links import LINKS, Link
from observatory.analysis.stats.observations import Observations
from observatory.core.errors import FitRefusedError
from tests.statistical import comparison_coverage, times_coverage
from tests.statistical.calibration import DROP, LEVEL, X0, X, seed_deviances, seed_limits

SEEDS = (5, 8, 10, 30)
SLOPE, UPPER = 8.0, float(np.log10(0.5))
LINK = LINKS["logistic"]
TRUTH = {"critical": (0, X0), "slope": (1, float(np.log(SLOPE)))}
EDGES = TRUTH | {"critical, upper": (4, UPPER), "slope, upper": (5, float(np.log(SLOPE)))}
"""By parameter: its place in theta, and its value there."""
NATURAL = {"critical": 10.0**X0, "slope": SLOPE, "ratio": 1.0}
Held = dict[str, np.ndarray]
"""By parameter: whether its interval holds the truth, `[study that was answered]`."""


def rate(lapse: float = 0.0, *, two_edges: bool = False, link: Link = LINK) -> np.ndarray:
    """The true rate at every weight decay, `[bin]`."""
    edges = [X0, np.log(SLOPE), 0.0, lapse, UPPER, np.log(SLOPE)]
    return rates(X, np.array([edges[: 6 if two_edges else 4]]), link)[0][0]


def counts(n_studies: int, n_seeds: int, p: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """n and k, `[study, bin]`; of one rate the same studies for every interval."""
    k = np.random.default_rng([130, n_seeds]).binomial(n_seeds, p, size=(n_studies, X.size))
    return np.full(k.shape, float(n_seeds)), k.astype(float)


def held(
    evaluate: Evaluate,
    begin: np.ndarray,
    n_starts: int,
    box: tuple[np.ndarray, np.ndarray],
    truth: Mapping[str, tuple[int, float]],
    drop: float = DROP,
) -> Held:
    """Profile limits hold a truth where its deviance is below the quantile, `[study]`."""
    top = best_of(*climb(evaluate, begin, *box), n_starts)[1]
    found: Held = {}
    for name, (index, value) in truth.items():
        low, high = box[0].copy(), box[1].copy()
        low[index] = high[index] = value
        again = best_of(*climb(evaluate, begin, low, high), n_starts)[1]
        found[name] = 2 * (top - again) <= drop
    return found


def starts(n_studies: int, *shares: float) -> np.ndarray:
    """Gentle, middling and steep curves at the truth, for each study."""
    made = [[X0, np.log(s), *shares] for s in (3.0, 10.0, 30.0)]
    return np.tile(made, (n_studies, 1))


def profile(
    lapse: float | None, true_lapse: float, n_studies: int, n_seeds: int, link: Link = LINK
) -> Held:
    """The likelihood with one edge, the truth of the same link; separated counts are refused."""
    n, k = counts(n_studies, n_seeds, rate(true_lapse, link=link))
    ends = box(RateBins(X, n[0], n[0]), 0.0, lapse)
    kept = fit_many(X, n, k, link, *ends)[2] >= SEPARATED
    n, k = (np.repeat(each[kept], 3, axis=0) for each in (n, k))
    evaluate = binomial(X, n, k, link)
    truth = TRUTH if lapse is not None else TRUTH | {"lapse": (3, true_lapse)}
    return held(evaluate, starts(int(kept.sum()), 0.0, 0.02), 3, ends, truth)


def firth(n_studies: int, n_seeds: int) -> Held:
    """The penalised likelihood."""
    n, k = (np.repeat(each, 3, axis=0) for each in counts(n_studies, n_seeds, rate()))
    return held(firth_likelihood(X, n, k), starts(n_studies, 0, 0), 3, firth_box(X), TRUTH)


def overdispersed(rho: float, n_studies: int, n_seeds: int) -> Held:
    """The beta-binomial; replicas of a weight decay are alike by rho."""
    rng, p = np.random.default_rng([132, n_seeds]), np.tile(rate(), (n_studies, 1))
    scale = (1.0 - rho) / rho if rho else 0.0
    k = rng.binomial(n_seeds, rng.beta(p * scale, (1.0 - p) * scale) if rho else p).astype(float)
    n = np.full(k.shape, float(n_seeds))
    low, high = box(RateBins(X, n[0], n[0]), 0.0, 0.0)
    kept = fit_many(X, n, k, LINK, low, high)[2] >= SEPARATED
    ends = np.append(low, 1e-4), np.append(high, 0.5)
    begin = np.concatenate([starts(1, 0.0, 0.0, share) for share in (0.01, 0.1, 0.3)])
    truth = TRUTH | ({"overdispersion": (4, rho)} if rho else {})
    groups, drop = np.arange(X.size), float(f.ppf(LEVEL, 1, X.size - 2))
    return joined(
        held(beta_binomial(X, groups, n[i], k[i], LINK), begin, len(begin), ends, truth, drop)
        for i in np.flatnonzero(kept)
    )


def window(n_studies: int, n_seeds: int) -> Held:
    """Both edges; refused where one edge would do as well."""
    made: list[Held] = []
    for n, k in zip(*counts(n_studies, n_seeds, rate(two_edges=True)), strict=True):
        bins, rng = RateBins(X, n, k), np.random.default_rng(133)
        try:
            require_window(bins)
        except FitRefusedError:
            continue
        if second_edge_p(bins, LINK, 0.0, 99, rng) > 1.0 - LEVEL + 1e-9:
            continue
        ends = box(bins, 0.0, 0.0, two_edges=True)
        evaluate = penalised(X, n[None], k[None], LINK, ends[0] < ends[1])
        slopes = np.log([4.0, 12.0, 30.0])
        begin = np.array([[X0, a, 0, 0, UPPER, b] for a in slopes for b in slopes])
        made.append(held(evaluate, begin, len(begin), ends, EDGES))
    return joined(made)


def bootstrapped(fit: BoundaryLsq | BoundaryMle, whole: bool, n_studies: int, n_seeds: int) -> Held:
    """The fit itself, its limits those of resamples of whole seeds, or of replicas."""
    made: list[Held] = []
    for study in outcomes(n_studies, n_seeds, whole):
        try:
            params = fit.fit(study, 0).params
        except FitRefusedError:
            continue
        made.append(
            {
                name: np.array([(at.ci_low or -np.inf) <= true <= (at.ci_high or np.inf)])
                for name, at in params.items()
                if (true := NATURAL[name])
            }
        )
    return joined(made)


def outcomes(n_studies: int, n_seeds: int, whole: bool) -> list[Observations]:
    """Studies of `counts`, replica by replica; `whole`: seeds recur over weight decays."""
    decays, none = np.repeat(10.0**X, n_seeds), np.full(X.size * n_seeds, np.nan)
    seed = np.tile(np.arange(n_seeds), X.size) if whole else None
    made: list[Observations] = []
    for k in counts(n_studies, n_seeds, rate())[1]:
        grokked = (np.arange(n_seeds) < k[:, None]).astype(bool)
        if whole:
            grokked = np.random.default_rng([134, n_seeds, len(made)]).permuted(grokked, axis=1)
        made.append(Observations(decays, grokked.ravel(), none, "made", 1000, None, seed=seed))
    return made


def seed_effect(spread: float, n_studies: int, n_seeds: int) -> Held:
    """A critical point per seed, slope 13.7 as in the table by spread."""
    rng = np.random.default_rng([135, n_seeds])
    found = [seed_deviances(rng, n_seeds, spread, 13.7) for _ in range(n_studies)]
    limit = seed_limits(n_seeds)["seed effect"]
    return {"critical": np.array([at["seed effect"] <= limit for at in found if at is not None])}


def ratio(n_studies: int, n_seeds: int) -> Held:
    """Of two like groups: the sum of their profiles."""
    grid = X0 + np.linspace(-0.4, 0.4, 41)
    tables = zip(*counts(2 * n_studies, n_seeds, rate()), strict=True)
    made = np.array([penalised_profile(RateBins(X, *at), grid) for at in tables])
    return {"ratio": (made[::2] + made[1::2]).min(axis=1) <= DROP}


def ratio_drawn(n_studies: int, n_seeds: int) -> Held:
    """The bootstrap beside it, the seeds of both groups drawn for both at once."""
    made = outcomes(2 * n_studies, n_seeds, whole=True)
    found: list[bool] = []
    for pair in zip(made[::2], made[1::2], strict=True):
        extras = boundary_ratio(pair[0], pair[1], ("a", "b"), LEVEL, 500, 0).extras
        low, high = (float(extras[f"bootstrap_{end}"] or 0.0) for end in ("low", "high"))
        found.append(low <= 1.0 <= high)
    return {"ratio": np.array(found)}


def joined(made: Iterable[Held]) -> Held:
    """Studies one by one as one."""
    parts = list(made)
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def _lsq(smoothing: float, interval: str) -> BoundaryLsq:
    return BoundaryLsq(None, smoothing, interval, 500, 0, LEVEL)


def _mle(interval: str) -> BoundaryMle:
    return BoundaryMle(
        link="logistic", edge="lower", window_max=None, guess=0.0, lapse=0.0, level=LEVEL,
        interval=interval, n_bootstrap=500, n_simulations=0, n_studies=0,
    )  # fmt: skip


ROWS: dict[str, Callable[[int, int], Held]] = {
    "profile, no lapses": partial(profile, 0.0, 0.0),
    "profile, lapses fitted": partial(profile, None, 0.0),
    "profile, lapses fitted, truth with 4%": partial(profile, None, 0.04),
    **{
        f"{name}, lapses fitted": partial(profile, None, 0.0, link=LINKS[name])
        for name in ("probit", "cloglog")
    },
    "Firth": firth,
    **{
        f"{name}, {interval} of {units}": partial(bootstrapped, fit, whole)
        for name, by in (
            ("published least squares", partial(_lsq, 0.0)),
            ("on smoothed rates", partial(_lsq, 0.5)),
            ("maximum likelihood", _mle),
        )
        for interval, fit in (("percentiles", by("percentile")), ("BCa", by("bca")))
        for units, whole in (("replicas", False), ("whole seeds", True))
    },
    "beta-binomial, replicas independent": partial(overdispersed, 0.0),
    "beta-binomial, replicas alike by 0.1": partial(overdispersed, 0.1),
    "window": window,
    "seed effect, spread 0": partial(seed_effect, 0.0),
    "seed effect, spread 0.25": partial(seed_effect, 0.25),
    "ratio, sum of the profiles": ratio,
    "ratio, Student's of the bootstrap beside it": ratio_drawn,
    **times_coverage.ROWS,
    **comparison_coverage.ROWS,
}
"""By name: from the numbers of studies and of seeds to what their intervals hold."""


def main(n_studies: int, only: str = "") -> None:
    """Print the tables as Markdown: a row per interval and parameter."""
    print("| interval | of |" + "".join(f" {n} seeds |" for n in SEEDS))
    print("|---|---|" + "---|" * len(SEEDS))
    for name, cover in ROWS.items():
        if only not in name:
            continue
        found = [cover(n_studies, n_seeds) for n_seeds in SEEDS]
        for parameter in dict.fromkeys(name for at in found for name in at):
            held = [at.get(parameter, np.zeros(0)) for at in found]
            cells = (
                (f"{each.mean():.3f}" if each.size else "–")
                + f", {n_studies - each.size} refused" * (each.size < n_studies)
                for each in held
            )
            print(f"| {name} | {parameter} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main(int(sys.argv[1]), *sys.argv[2:])
