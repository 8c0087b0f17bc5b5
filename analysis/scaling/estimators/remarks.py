"""What a reader of a finite-size chain could take wrongly."""

from collections.abc import Mapping

import numpy as np

from observatory.analysis.scaling.estimators.sample import Array, Moments, Sample
from observatory.analysis.scaling.estimators.susceptibility import peaks_at_ends
from observatory.analysis.stats.estimate import Parameter


def remarks(
    sample: Sample,
    own: Moments,
    reduced_chi2: float,
    params: Mapping[str, Parameter],
    bias: Array | None,
) -> list[str]:
    """Warnings about the table and its fit.

    `bias` is the error of the numbers of the collapse from a coarse control, `[3]`; None where
    unknown.
    """
    fewest, ends = sample.n.min(), peaks_at_ends(sample, own)
    alike = neighbour_correlation(sample) or 0.0
    inverse = params["inverse_nu"].ci_low
    cases = {
        "U4 depends on the zero of the order parameter: raw, centred and shifted are shown, and a "
        "crossing of one alone is none.": True,
        "gamma / nu is of the largest of several noisy variances: too small where the peaks of "
        "small sizes are wide. In simulated studies its 95% interval covered 0.47 to 0.58 "
        "(docs/fits.md): read whether chi grows, not the number.": True,
        f"Some cells have {fewest:g} seeds: with fewer than 10, resampled intervals are "
        "too narrow and cumulants biased.": fewest < 10,
        "Cells differ in seeds; chi uses the median number for all.": np.ptp(sample.n) > 0,
        f"The variance is largest at an end of the control at size "
        f"{', '.join(f'{size:g}' for size in ends)}: the peak may lie beyond. Add values "
        "there.": bool(ends),
        f"Sigmoids describe the means badly (chi-square {reduced_chi2:.3g} per degree of "
        "freedom): the width is that of the nearest sigmoid.": reduced_chi2 > 3.0,
        "The order parameter has two values only: U4, chi and the groups are functions of its "
        "rate and say nothing more.": np.unique(sample.value).size <= 2,
        f"A seed stays alike along the control (correlation {alike:.2f}): smooth crossovers are "
        "drawn without that, so their p-values are too small or too large.": abs(alike) > 0.2,
        "1 / nu may be 0: then no critical point is fixed by the collapse, and neither are nu and "
        "zeta.": inverse is None or inverse <= 0.0,
    }
    found = [text for text, holds in cases.items() if holds]
    for k, name in enumerate(("critical", "inverse_nu", "zeta_over_nu")):
        se = params[name].se if name in params else None
        if bias is not None and se is not None and abs(bias[k]) > 0.5 * se:
            found.append(
                f"The control is coarse: that moves {name} by about {bias[k]:.2g}, beside a "
                f"standard error of {se:.2g}, and raises S. Add values between."
            )
    return found


def neighbour_correlation(sample: Sample) -> float | None:
    """Correlation of the same seed in neighbouring cells of one size; None where seeds are once."""
    if sample.seed is None:
        return None
    spread = np.sqrt(np.bincount(sample.of_cell, sample.deviation**2) / sample.n)
    scaled = sample.deviation / np.where(spread > 0, spread, np.inf)[sample.of_cell]
    products = list[float]()
    ends = sample.starts + sample.n.astype(np.int64)
    for cell in range(sample.pivot.size - 1):
        if sample.of_size[cell] != sample.of_size[cell + 1]:
            continue
        here, there = (slice(sample.starts[c], ends[c]) for c in (cell, cell + 1))
        _, a, b = np.intersect1d(sample.seed[here], sample.seed[there], return_indices=True)
        products += (scaled[here][a] * scaled[there][b]).tolist()
    return float(np.mean(products)) if len(products) > 1 else None
