"""How many neurons of the feed-forward layers a language model needs: CETT-PPL-p%."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib.resources import files
from typing import Any, Literal, final

import pandas as pd
import torch
import yaml
from torch import Tensor, nn

from observatory.core.errors import ConfigError
from observatory.maths.truncation import cett, strong, threshold_of
from observatory.watch.low_precision.batch_loss import labels_of, losses
from observatory.watch.low_precision.operands import Part
from observatory.watch.low_precision.passes import Passes
from observatory.watch.low_precision.products import Product, Site
from observatory.watch.low_precision.substitute import rows_of, seen_of
from observatory.watch.reading.forward import Batch, call_model, unwrapped, valid_rows
from observatory.watch.reading.quiet import untouched

Place = tuple[Site, int]
"""A product, and which of its matrices."""


@dataclass(frozen=True)
class LayerRatio:
    """One feed-forward layer, or one expert.

    Attributes:
        site: The product that reads its activations.
        matrix: Which of its matrices.
        threshold: Norm of a neuron's output up to which it is left out; -1 where none is.
        ratio: Share of neurons above it, over tokens; None where the layer gives nothing.
    """

    site: Site
    matrix: int
    threshold: float
    ratio: float | None


@final
@dataclass(frozen=True)
class ActivationRatio:
    """What `activation_ratio` found.

    Attributes:
        ratio: Share of neurons that are needed, mean over layers that give something; None where
            none does.
        cett: The error that was let in at every layer.
        loss: Of the model as it is, in nats.
        sparse_loss: Without the others.
        layers: Layer by layer.
        n_steps: Passes of the search; 0 where CETT was given.
    """

    ratio: float | None
    cett: float
    loss: float
    sparse_loss: float
    layers: tuple[LayerRatio, ...]
    n_steps: int

    @property
    def perplexity_rise(self) -> float:
        """How much larger the perplexity is, in percent."""
        return 100 * math.expm1(self.sparse_loss - self.loss)

    def frame(self) -> pd.DataFrame:
        """A row for each layer: parameter, number of its read, matrix, threshold, ratio."""
        return pd.DataFrame(
            {
                "parameter": layer.site.name,
                "number": layer.site.number,
                "matrix": layer.matrix,
                "threshold": layer.threshold,
                "ratio": layer.ratio,
            }
            for layer in self.layers
        )


@final
@dataclass
class _Layers:
    """Keeps what feed-forward layers read, without rows of padding."""

    valid: Tensor | None
    kept: dict[Place, Part] = field(default_factory=dict)

    def __call__(self, product: Product) -> Tensor:
        if product.feed_forward:
            rows = rows_of(product.operands, self.valid)
            for index, seen in enumerate(seen_of(product)):
                x = seen.x if rows is None else seen.x[rows[index]]
                if len(x):
                    self.kept[product.site, index] = Part(x, seen.w)
        return product.run()


@final
@dataclass(frozen=True)
class _Truncated:
    """Runs feed-forward layers without the neurons whose output is small."""

    thresholds: Mapping[Place, float]

    def __call__(self, product: Product) -> Tensor:
        if not product.feed_forward:
            return product.run()
        parts = []
        for index, seen in enumerate(seen_of(product)):
            threshold = self.thresholds.get((product.site, index), -1.0)
            parts.append(Part(torch.where(strong(seen.x, seen.w, threshold), seen.x, 0.0), seen.w))
        return product.run(parts)


def activation_ratio(
    model: nn.Module,
    batch: Batch,
    *,
    labels: Tensor | Literal["next_token"],
    at: float | None = None,
    params: Mapping[str, Tensor] | None = None,
    forward: Callable[[nn.Module, Any], Any] | None = None,
) -> ActivationRatio:
    """Find the share of neurons that keeps the perplexity within a percentage.

    One CETT holds for every layer: the norm of what is left out over that of the layer's output.
    It is searched by bisection; the percentage is in conf/low_precision/activation_ratio.yaml. For
    a trace over training find it on the last checkpoints and give it to all.

    Args:
        model: Any network with feed-forward layers. It stays as it was, bit for bit.
        batch: What it is called with; thresholds and loss are of the same batch.
        labels: As of `low_precision`.
        at: A CETT in [0, 1] that is not searched; None to search.
        params: Parameters by name in place of the model's own: a replica of a fleet.
        forward: Calls the model, where that is not by the batch alone.

    Raises:
        ConfigError: If an argument is wrong, there is no feed-forward layer, or the loss is so
            small that perplexity says nothing.
        DisturbedError: If running the model changed it.

    Source:
        Sparsing Law, arXiv:2411.02335. Deviations: thresholds are exact (see `threshold_of`); the
        layers' share of a token-wise error is that of the neurons alone, without biases.
    """
    if at is not None and not 0 <= at <= 1:
        raise ConfigError(f"`at` must be in [0, 1], got {at}. Give a share, or leave it out.")
    network = unwrapped(model)
    passes = Passes(network, forward or call_model, params)
    with untouched(network):
        return _measure(passes, batch, labels, at)


def _measure(
    passes: Passes, batch: Batch, labels: Tensor | Literal["next_token"], at: float | None
) -> ActivationRatio:
    file = files("observatory.conf").joinpath("low_precision", "activation_ratio.yaml")
    settings = yaml.safe_load(file.read_text("utf-8"))
    layers = _Layers(valid_rows(batch).get(""))
    logits = passes.run(batch, layers)
    if not layers.kept:
        raise ConfigError(
            "`model` must have a feed-forward layer, a product that reads a nonlinearity of a "
            "product; none was seen."
        )
    given = labels_of(labels, batch, logits)
    dense = losses(logits, given).mean
    if at is None and dense < settings["smallest_loss"]:
        raise ConfigError(
            f"The loss must be at least {settings['smallest_loss']} for its perplexity to say "
            f"anything, got {dense:.3g}. Give examples that are not memorised, or `at`."
        )

    def sparse(target: float) -> tuple[float, dict[Place, float]]:
        found = {place: threshold_of(part.x, part.w, target) for place, part in layers.kept.items()}
        return losses(passes.run(batch, _Truncated(found)), given).mean, found

    target, n_steps = (at, 0) if at is not None else _search(sparse, dense, settings)
    loss, thresholds = sparse(target)
    found = tuple(_layer(place, layers.kept[place], t) for place, t in thresholds.items())
    ratios = [layer.ratio for layer in found if layer.ratio is not None]
    mean = sum(ratios) / len(ratios) if ratios else None
    return ActivationRatio(mean, target, dense, loss, found, n_steps)


def _search(
    sparse: Callable[[float], tuple[float, Any]], dense: float, settings: Mapping[str, Any]
) -> tuple[float, int]:
    """The largest CETT, by bisection, at which the perplexity is not too large; its passes."""
    most = dense + math.log1p(settings["rise_percent"] / 100)
    if sparse(1.0)[0] <= most:
        return 1.0, 1
    low, high, n_steps = 0.0, 1.0, 1
    while high - low > settings["tolerance"] and n_steps < settings["most_steps"]:
        middle = (low + high) / 2
        n_steps += 1
        if sparse(middle)[0] <= most:
            low = middle
        else:
            high = middle
    return low, n_steps


def _layer(place: Place, part: Part, threshold: float) -> LayerRatio:
    alive = cett(part.x, part.w, 0.0) is not None
    ratio = float(strong(part.x, part.w, threshold).double().mean()) if alive else None
    return LayerRatio(*place, threshold, ratio)
