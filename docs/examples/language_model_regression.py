"""Do width, depth and place of a block foretell its law? Ridge, with every model left out in turn.

The features are those of arXiv:2508.03616 that differ among these models. A split that ignores
models, as published ones do, lets every model be seen in training; its error stands beside.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import yeojohnson

Array = NDArray[np.float64]
Folds = NDArray[np.int64]


def features(laws: pd.DataFrame) -> Array:
    """Place l / L of a block (from 1) and powers of it, l L, ln d and d / L, `[block, feature]`."""
    layer, width, depth = column(laws, "layer") + 1, column(laws, "width"), column(laws, "depth")
    place = layer / depth
    columns = [place, place**2, place**3, place**0.5, layer * depth, np.log(width), width / depth]
    return np.stack(columns, axis=1)


def targets(laws: pd.DataFrame) -> dict[str, Array]:
    """What is foretold, on the scale on which it is, by block; NaN where it is not defined."""
    found = {
        "ln ratio, at one step": np.log(column(laws, "common")),
        "power of the growth": column(laws, "power"),
    }
    for name in ("A", "lambda", "gamma", "t0"):
        values = column(laws, name)
        found[f"log1p {name}"] = np.log1p(np.where(values > -1, values, np.nan))
    known = column(laws, "K").copy()
    defined = np.isfinite(known)
    if defined.sum() > 2:
        known[defined] = yeojohnson(known[defined])[0]
        found["Yeo-Johnson K"] = known
    return found


def column(laws: pd.DataFrame, name: str) -> Array:
    """A column as numbers, NaN where there is none."""
    return laws[name].to_numpy(dtype=np.float64, na_value=np.nan)


def ridge(x: Array, y: Array, penalty: float) -> Callable[[Array], Array]:
    """Least squares on scaled features with a penalty on all but the mean."""
    centre, scale = x.mean(axis=0), x.std(axis=0)
    scale = np.where(scale > 0, scale, 1.0)
    z = (x - centre) / scale
    weights = np.linalg.solve(z.T @ z + penalty * np.eye(z.shape[1]), z.T @ (y - y.mean()))
    return lambda new: (new - centre) / scale @ weights + y.mean()


def predicted(x: Array, y: Array, fold: Folds, penalties: list[float]) -> tuple[Array, Array]:
    """Of every block: what ridge says from the other folds, and their mean.

    The penalty is the one that does best on the other folds, each left out in turn.
    """
    by_ridge, by_mean = np.empty_like(y), np.empty_like(y)
    for out in np.unique(fold):
        test = fold == out
        inner, inside = fold[~test], np.unique(fold[~test])
        errors = [
            sum(
                float(np.square(
                    ridge(x[~test][inner != one], y[~test][inner != one], penalty)(
                        x[~test][inner == one]
                    ) - y[~test][inner == one]
                ).sum())
                for one in inside
            )
            for penalty in penalties
        ]  # fmt: skip
        best = penalties[int(np.argmin(errors))]
        by_ridge[test] = ridge(x[~test], y[~test], best)(x[test])
        by_mean[test] = y[~test].mean()
    return by_ridge, by_mean


def left_out(laws: pd.DataFrame, given: dict[str, Any]) -> pd.DataFrame:
    """A row per number of the law: root mean square errors of ridge and of a constant.

    `better_on` counts the models on which ridge errs less than the mean of the other models does.
    A number that fewer than three models have is left out.
    """
    rows = []
    for name, values in targets(laws).items():
        y, part = values[np.isfinite(values)], laws.loc[np.isfinite(values)]
        model = np.asarray(part["width"] * 1000 + part["depth"], dtype=np.int64)
        if len(np.unique(model)) < 3:
            continue
        x = features(part)
        by_ridge, by_mean = predicted(x, y, model, given["penalties"])
        order = np.random.default_rng(given["seed"]).permutation(len(y))
        mixed = predicted(x, y, order % given["folds"], given["penalties"])
        errors = [
            (rms((by_ridge - y)[model == one]), rms((by_mean - y)[model == one]))
            for one in np.unique(model)
        ]
        rows.append(
            {
                "number": name, "models": len(errors), "blocks": len(y),
                "ridge": rms(by_ridge - y), "constant": rms(by_mean - y),
                "better_on": sum(mine < other for mine, other in errors),
                "ridge_mixed": rms(mixed[0] - y), "constant_mixed": rms(mixed[1] - y),
            }
        )  # fmt: skip
    columns = ["number", "models", "blocks", "ridge", "constant", "better_on"]
    return pd.DataFrame(rows, columns=[*columns, "ridge_mixed", "constant_mixed"])


def rms(errors: Array) -> float:
    """Root mean square."""
    return float(np.sqrt(np.square(errors).mean()))
