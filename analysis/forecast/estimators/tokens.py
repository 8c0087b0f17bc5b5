"""Whether the last readings of a series have a shape and a rhythm that it did not have before.

A window is as many readings in a row, z one of them less its mean over its standard deviation. In
two stages: how much happens in a window, for its size, is cheap to say, and only those in which not
much less happens than before get a token, a pair of a code of shape and one of frequency.
"""

from bisect import bisect_right, insort
from collections import Counter
from collections.abc import Callable

import numpy as np

from observatory.analysis.forecast.estimators.hjorth import ROUNDING, less_line, windows_of
from observatory.analysis.forecast.estimators.records import Array

KEPT = 3 / 8
"""A window gets a token if less than this share of those so far are `MUCH_MORE` salient."""
MUCH_MORE = 2.0
"""So many times its saliency, each for its size: windows of a smooth fall have tokens."""
SHAPES = 4
"""Cosines of so many half waves, each with both signs, are the codes of shape; 3 of 4 readings."""


def standardised(rows: Array) -> Array:
    """Every row less its mean over its (biased) standard deviation; NaN where that is rounding."""
    centred = rows - rows.mean(axis=1, keepdims=True)
    deviation = centred.std(axis=1, keepdims=True)
    least = ROUNDING * np.abs(rows).max(axis=1, keepdims=True)
    return centred / np.where(deviation > least, deviation, np.nan)


def amplitudes(rows: Array) -> Array:
    """Amplitudes of the Fourier transform of every standardised row, `[row, frequency]`."""
    return np.abs(np.fft.rfft(standardised(rows), axis=1))


def squared_distances(rows: Array, codes: Array) -> Array:
    """Of every row to every code, `[row, code]`."""
    return np.square(rows[:, None] - codes[None]).sum(axis=2)


def saliency(values: Array, window: int) -> Array:
    r"""How much happens in the last readings: $\lvert \bar x_2 - \bar x_1 \rvert + s$.

    $\bar x_1$ and $\bar x_2$ are the means of the first and the second half of the window, without
    the middle reading of an odd one; s is the standard deviation about its straight line.

    Args:
        values: Readings, `[reading]`.
        window: How many at once, 4 at least, whatever the steps between them.

    Returns:
        One number per reading, in its unit; NaN before there are as many and where one of them is
        not finite.

    Source:
        Windows ranked before they are encoded: arXiv:2512.21881. Deviation: this measure in place
        of a trained one.
    """
    return _at_readings(values, window, _saliency)


def tokens(values: Array, window: int) -> Array:
    """The token of the last readings: 8 codes of shape times as many as there are frequencies.

    The code of shape is the nearest to z of cosines of 1 to 4 half waves and their negatives (of 4
    readings 1 to 3, 6 codes), that of frequency the largest amplitude of the window less its
    straight line. Neither level nor scale of the readings matters.

    Args:
        values: Readings, `[reading]`.
        window: How many at once, 4 at least.

    Returns:
        A whole number per reading; NaN before there are as many, where one of them is not finite,
        and on a straight line.

    Source:
        arXiv:2506.09110, codes of time and of frequency side by side. Deviation: cosines and single
        frequencies in place of codes learned by a network, which some hundred series cannot train.
    """
    return _at_readings(values, window, _tokens)


def surprise(values: Array, window: int) -> Array:
    r"""How rare the token of the last salient window is among those before it, in nats.

    $-\ln \frac{n + 1}{N + K}$: n of the N salient windows before have the same of K tokens. A
    window is salient if less than 3/8 of the windows so far, itself among them, have more than
    twice its `saliency` for their size, the mean of $\lvert x \rvert$ over the window. So the scale
    of the readings does not matter; their level does: a large one makes windows alike in
    size, and about 0 a small rhythm counts as much as a large one.

    Args:
        values: Readings, `[reading]`.
        window: How many at once, 4 at least, whatever the steps between them.

    Returns:
        One number per reading, that of the last salient window; NaN before there is one and where a
        reading of the window is not finite.

    Source:
        See `saliency` and `tokens`. Deviation: one number at every reading, of the past alone, in
        place of a histogram of tokens of a whole record.
    """
    return _at_readings(values, window, _surprise)


def _at_readings(values: Array, window: int, measure: Callable[[Array], Array]) -> Array:
    """A measure of windows, `[window, reading]`, at the last reading of each; NaN before them."""
    found = np.full(values.size, np.nan)
    if values.size >= window:
        found[window - 1 :] = measure(windows_of(values, window))
    return found


def _saliency(rows: Array) -> Array:
    half = rows.shape[1] // 2
    change = rows[:, -half:].mean(axis=1) - rows[:, :half].mean(axis=1)
    return np.abs(change) + less_line(rows).std(axis=1)


def _tokens(rows: Array) -> Array:
    window = rows.shape[1]
    shape = squared_distances(standardised(rows), _shapes(window))
    # Frequency 0 is the mean. A line's rest is only rounding of the line's own size.
    rest = less_line(rows)
    moves = rest.std(axis=1) > ROUNDING * np.abs(rows).max(axis=1)
    power = amplitudes(np.where(moves[:, None], rest, np.nan))[:, 1:]
    known = np.isfinite(shape).all(axis=1) & np.isfinite(power).all(axis=1)
    code = np.full(len(rows), np.nan)
    code[known] = shape[known].argmin(axis=1) * (window // 2) + power[known].argmax(axis=1)
    return code


def _surprise(rows: Array) -> Array:
    window = rows.shape[1]
    sizes = np.abs(rows).mean(axis=1)
    happens = _saliency(rows) / np.where(sizes == 0, 1.0, sizes)  # where it is 0, so is saliency
    code, n_tokens = _tokens(rows), len(_shapes(window)) * (window // 2)
    found = np.full(len(rows), np.nan)
    before, seen, last = list[float](), Counter[float](), np.nan
    for i in np.flatnonzero(np.isfinite(happens)).tolist():
        insort(before, float(happens[i]))
        more = len(before) - bisect_right(before, MUCH_MORE * float(happens[i]))
        if np.isfinite(code[i]) and more < KEPT * len(before):
            token = float(code[i])
            last = -np.log((seen[token] + 1) / (seen.total() + n_tokens))
            seen[token] += 1
        found[i] = last
    return found


def _shapes(window: int) -> Array:
    halves = np.arange(1, min(SHAPES, window - 1) + 1)[:, None]
    waves = standardised(np.cos(np.pi * halves * (np.arange(window) + 0.5) / window))
    return np.concatenate([waves, -waves])
