"""Tokens of shape and frequency: given values, plain code, closed forms, and no look-ahead."""

import math
from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest

from observatory.analysis.forecast.estimators.tokens import (
    amplitudes,
    saliency,
    squared_distances,
    standardised,
    surprise,
    tokens,
)
from observatory.analysis.forecast.from_table import from_frame


def test_features_of_a_patch_and_its_nearest_code() -> None:
    """Values: numpy's rfft and the definition, 1e-10 and 1e-12."""
    patch = np.array([[0.0, 1, 0, -1, 0, 2, 0, -2]])
    s, t = 0.8944271909999159, 1.7888543819998317
    np.testing.assert_allclose(standardised(patch), [[0, s, 0, -s, 0, t, 0, -t]], atol=1e-10)
    expected = [0, 1.2649110640673515, 5.366563145999495, 1.2649110640673515, 0]
    np.testing.assert_allclose(amplitudes(patch), [expected], atol=1e-10)
    codes = np.array([[0.0, 0], [1, 0], [0.3, -0.2]])
    found = squared_distances(np.array([[0.2, -0.1]]), codes)
    np.testing.assert_allclose(found, [[0.05, 0.65, 0.02]], atol=1e-12)


def slow(x: np.ndarray) -> tuple[float, int]:
    """Saliency and token of one window."""
    n = x.size
    t = np.arange(n)
    rest = x - np.polyval(np.polyfit(t, x, 1), t)
    spread = math.sqrt(sum((v - sum(rest) / n) ** 2 for v in rest) / n)
    happens = abs(sum(x[-(n // 2) :]) - sum(x[: n // 2])) / (n // 2) + spread
    z = (x - x.mean()) / x.std()
    codes = []
    for sign in (1, -1):
        for k in range(1, 5):
            wave = [sign * math.cos(math.pi * k * (i + 0.5) / n) for i in t]
            size = math.sqrt(sum(v * v for v in wave) / n)
            codes.append(sum((v / size - w) ** 2 for v, w in zip(wave, z, strict=True)))
    power = [
        abs(sum(v * complex(math.cos(a), math.sin(a)) for v, a in
                zip(rest, 2 * math.pi * f * t / n, strict=True)))
        for f in range(1, n // 2 + 1)
    ]  # fmt: skip
    return happens, codes.index(min(codes)) * (n // 2) + power.index(max(power))


@pytest.mark.parametrize("window", [7, 16])
def test_they_are_those_of_plain_code_and_know_no_future(window: int) -> None:
    x = np.random.default_rng(0).normal(size=120).cumsum()
    found = saliency(x, window), tokens(x, window), surprise(x, window)
    assert all(np.isnan(each[: window - 1]).all() for each in found)
    shares, kept, last = list[float](), list[int](), math.nan
    for i in range(window - 1, x.size):
        mine, token = slow(x[i - window + 1 : i + 1])
        assert found[0][i] == pytest.approx(mine, rel=1e-10)
        assert found[1][i] == token
        shares.append(mine / (sum(abs(x[i - window + 1 : i + 1])) / window))
        if sum(other > 2 * shares[-1] for other in shares) < 3 / 8 * len(shares):
            last = -math.log((kept.count(token) + 1) / (len(kept) + 8 * (window // 2)))
            kept.append(token)
        assert found[2][i] == pytest.approx(last, rel=1e-10)
    assert len(set(kept)) > 5
    changed = np.r_[x[:80], -3 * x[80:]]
    for made, before in zip((saliency, tokens, surprise), found, strict=True):
        np.testing.assert_array_equal(made(changed, window)[:80], before[:80])


def test_neither_level_nor_scale_nor_what_is_missing_makes_a_token() -> None:
    x = np.random.default_rng(1).normal(size=60).cumsum()
    np.testing.assert_array_equal(tokens(3 * x + 40, 16), tokens(x, 16))
    np.testing.assert_allclose(surprise(-3 * x, 16), surprise(x, 16))
    x[30] = np.nan
    for found in (saliency(x, 16), surprise(x, 16)):
        np.testing.assert_array_equal(np.isnan(found[15:]), [30 <= i < 46 for i in range(15, 60)])
    line = 5 + 0.1 * np.arange(40.0)
    assert np.isnan(tokens(line, 16)).all()
    assert saliency(line, 16)[15:] == pytest.approx(0.8)
    for same in (1, 0):
        assert np.isnan(surprise(np.full(40, float(same)), 16)).all()
    assert np.isfinite(surprise(np.r_[np.zeros(20), x[:20]], 16)[20:]).all()


@pytest.mark.parametrize(("size", "seen"), [(3.0, True), (0.3, False)])
def test_a_new_rhythm_is_a_surprise_if_it_is_salient(size: float, seen: bool) -> None:
    """Slow waves, known by step 200, and fast ones from step 300; small ones get no token."""
    t = np.arange(400)
    x = np.where(t < 300, np.sin(2 * np.pi * t / 16), size * np.sin(2 * np.pi * t / 4))
    found = surprise(5 + x + 0.02 * np.random.default_rng(2).normal(size=400), 16)
    assert (found[315:330].max() > found[200:300].max() + 2) == seen


@pytest.mark.parametrize("period", [4, 8, 12])
@pytest.mark.parametrize("fall", [lambda t: np.exp(-t / 30), lambda t: 1 / (1 + t)])
def test_a_rhythm_on_a_falling_curve_is_a_surprise(
    fall: Callable[[np.ndarray], np.ndarray], period: int
) -> None:
    """It grows from step 200 on, far below where the curve began: without it nothing happens."""
    t = np.arange(400.0)
    curve = fall(t) + 0.01
    rhythm = 0.01 * np.clip((t - 200) / 100, 0, 1) * np.sin(2 * np.pi * t / period)
    plain, found = surprise(curve, 16), surprise(curve + rhythm, 16)
    np.testing.assert_array_equal(found[:200], plain[:200])
    assert plain[15] == pytest.approx(math.log(64))
    assert (plain[200:] <= plain[199]).all()
    assert found[200:].max() > plain[199] + 2


@pytest.mark.parametrize("scale", [-30, -600, 60])
def test_where_every_window_is_alike_it_is_a_clock(scale: float) -> None:
    n = np.arange(185)
    found = surprise(np.exp(np.arange(200) / scale), 16)[15:]
    np.testing.assert_allclose(found, -np.log((n + 1) / (n + 64)))


def test_they_are_signals_where_they_are_named() -> None:
    step = np.arange(0, 400, 10)
    loss = np.exp(-step / 100) * (1 + 0.1 * np.sin(step))
    rows = pd.DataFrame({"replica": 0, "seed": 0, "step": step, "t_hi": 390, "train_loss": loss})
    names = ["saliency8(train_loss)", "surprise8(train_loss)"]
    records = from_frame(rows, names, {}, memorised=False).records
    for name, made in zip(names, (saliency, surprise), strict=True):
        np.testing.assert_allclose(records.signals[name].value[0], made(loss, 8))
