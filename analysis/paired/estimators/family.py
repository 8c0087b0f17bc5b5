"""All contrasts of a table as one family of tests: adjusted p-values, verdicts, doubts."""

from collections.abc import Mapping, Sequence

import numpy as np

from observatory.analysis.stats.paired_tests import holm, p_text

Numbers = dict[str, float | None]

TESTS = ("t", "wilcoxon", "sign_flip")


def is_rate(found: Mapping[str, float | None]) -> bool:
    """Whether numbers are of a contrast of rates."""
    return "p_mcnemar" in found


def adjust(contrasts: Sequence[Numbers], m: int) -> None:
    """Write adjusted p-values; tests of the family, of size m, that are not here count as 1."""
    for name in ("p", "p_equivalent"):
        raw = [found[name] for found in contrasts]
        p = np.array([1.0 if v is None else v for v in raw], dtype=np.float64)
        steps = holm(np.concatenate([p, np.ones(m - p.size)]))
        for found, v, by_holm in zip(contrasts, raw, steps[: p.size].tolist(), strict=True):
            found[f"{name}_holm"] = None if v is None else by_holm
            found[f"{name}_bonferroni"] = None if v is None else min(1.0, v * m)


def verdict(found: Mapping[str, float | None], alpha: float) -> str:
    """What adjusted p-values say of a contrast at a level."""
    differs = (found["p_holm"] or 0.0) < alpha
    near = found["p_equivalent_holm"]
    if near is not None and near < alpha:
        return "differs by less than the margin" if differs else "equivalent"
    return "differs" if differs else "undecided"


def doubts(contrasts: Mapping[str, Numbers], m: int, test: str, alpha: float) -> list[str]:
    """What may be taken wrongly: too few pairs for a p-value to pass, tests that disagree."""
    notes = list[str]()
    for label, found in contrasts.items():
        n, rates = int(found["n"] or 0), is_rate(found)
        if (test != "t" or rates) and 2.0 ** (1 - n) * m >= alpha:
            notes.append(
                f"{label}: with {n} pairs in a family of {m} no p-value can be below "
                f"{alpha:.3g} once adjusted. More pairs are needed to see anything."
            )
        if rates:
            continue
        below = {name for name in TESTS if (found[f"p_{name}"] or 0.0) * m < alpha}
        if below and len(below) < len(TESTS):
            listed = ", ".join(f"{name} {p_text(found[f'p_{name}'] or 0.0)}" for name in TESTS)
            notes.append(f"{label}: the tests disagree at {alpha:.3g} / {m} ({listed}).")
    return notes
