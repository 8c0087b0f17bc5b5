"""What low precision or sparsity would do to a model, whose weights are never written."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib import import_module
from importlib.resources import files
from typing import Any, Literal, final

import pandas as pd
import torch
import yaml
from torch import Tensor, nn

from observatory.core.errors import ConfigError
from observatory.core.rng import named_generator
from observatory.core.settings import did_you_mean
from observatory.watch.low_precision.batch_loss import (
    Change,
    SequenceLosses,
    change,
    labels_of,
    losses,
)
from observatory.watch.low_precision.passes import Passes
from observatory.watch.low_precision.products import Product
from observatory.watch.low_precision.substitute import (
    Calibration,
    LocalErrors,
    Replacing,
    SiteError,
)
from observatory.watch.low_precision.transforms import Transform
from observatory.watch.reading.forward import Batch, call_model, unwrapped, valid_rows
from observatory.watch.reading.quiet import untouched

Scope = Literal["all", "without readout"]
"""Which products are changed in a pass."""
_SCOPES: tuple[Scope, ...] = ("all", "without readout")
_NO_GATE = (
    "it drops activations by what they are multiplied with, and no product of this model reads "
    "`act(gate) * up`. Use magnitude_50 or wina_50, which need no gate."
)


@final
@dataclass(frozen=True)
class LowPrecision:
    """What `low_precision` found.

    Attributes:
        loss: Of the model as it is, in nats, mean over the labels; None without labels.
        n_sequences: That the changes are means over.
        errors: Of every transform, how far each product is off by itself.
        changes: By transform and scope, the change of loss and that by noise of the same size.
        refused: Transforms that this model has no place for, with the reason.
        unseen: Parameters of two axes and more that no product was seen to read: tables,
            convolutions, projections inside `nn.MultiheadAttention`.
        readout: The parameter that the last product reads.
    """

    loss: float | None
    n_sequences: int
    errors: Mapping[str, Sequence[SiteError]]
    changes: Mapping[tuple[str, Scope], tuple[Change, Change]]
    refused: Mapping[str, str]
    unseen: tuple[str, ...]
    readout: str

    def frame(self) -> pd.DataFrame:
        """A row for each transform and scope.

        `output_error` is relative, over products changed one by one: median and largest. The change
        of loss is in nats, with its standard error over sequences, paired; `noise_change` is that
        by noise of the same size at the same places. Without labels only the errors.
        """
        rows = []
        for name, errors in self.errors.items():
            sizes = pd.Series([error.output for error in errors])
            local = {"output_error_median": sizes.median(), "output_error_max": sizes.max()}
            scopes = [(scope, pair) for (n, scope), pair in self.changes.items() if n == name]
            for scope, (own, noise) in scopes:
                rows.append({
                    "transform": name, "scope": scope, **local,
                    "loss_change": own.mean, "se": own.se,
                    "noise_change": noise.mean, "noise_se": noise.se,
                })  # fmt: skip
            if not scopes:
                rows.append({"transform": name, **local})
        return pd.DataFrame(rows)

    def sites(self) -> pd.DataFrame:
        """A row for each transform and product: relative errors of result, inputs and weights."""
        rows = []
        for name, errors in self.errors.items():
            for error in errors:
                row = asdict(error)
                site = row.pop("site")
                rows.append({"transform": name, "parameter": site["name"], **site, **row})
        return pd.DataFrame(rows).drop(columns="name")

    def __repr__(self) -> str:
        n_sites = max((len(errors) for errors in self.errors.values()), default=0)
        return f"LowPrecision({len(self.errors)} transforms, {n_sites} products; loss {self.loss})"


def settings() -> dict[str, Any]:
    """What conf/low_precision/transforms.yaml holds."""
    text = files("observatory.conf").joinpath("low_precision", "transforms.yaml").read_text("utf-8")
    return yaml.safe_load(text)


def named_transforms(names: Sequence[str] | None = None) -> dict[str, Transform]:
    """Transforms of the configuration by name; None: all of them.

    Raises:
        ConfigError: If there is none of a name.
    """
    known: dict[str, dict[str, Any]] = settings()["transforms"]
    made: dict[str, Transform] = {}
    for name in known if names is None else names:
        if name not in known:
            meant = did_you_mean(name, known)
            raise ConfigError(f"`transforms` must be among {list(known)}, got {name!r}.{meant}")
        values = dict(known[name])
        module, _, class_name = str(values.pop("_target_")).rpartition(".")
        made[name] = getattr(import_module(module), class_name)(**values)
    return made


def low_precision(
    model: nn.Module,
    batch: Batch,
    *,
    labels: Tensor | Literal["next_token"] | None = None,
    transforms: Sequence[str] | Mapping[str, Transform] | None = None,
    calibration: Batch | None = None,
    params: Mapping[str, Tensor] | None = None,
    forward: Callable[[nn.Module, Any], Any] | None = None,
) -> LowPrecision:
    """Measure what low precision or sparsity would do, product by product and to the loss.

    Two measurements of every transform: each product's relative error where only its own operands
    change; and the change of loss where those of all products do, with the readout and without it,
    beside noise of the same size. Per-product changes of loss are not measured: they do not add up.

    Args:
        model: Any network. It stays as it was, bit for bit.
        batch: What it is called with.
        labels: Of every position of the logits, `[batch, pos]` or `[batch]`, -100 where there is
            none; "next_token" for those that follow in the batch; None: no change of loss.
        transforms: Names of conf/low_precision/transforms.yaml, or transforms by a name of your
            own; None: all of the configuration that the model has a place for.
        calibration: On which scales and thresholds are searched; None: on `batch` itself, which is
            kind to those that search.
        params: Parameters by name in place of the model's own: a replica of a fleet.
        forward: Calls the model, where that is not by the batch alone.

    Raises:
        ConfigError: If an argument is wrong, or a transform that was named has no place.
        DisturbedError: If running the model changed it.

    Example:
        >>> model = nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 4))
        >>> found = low_precision(model, torch.randn(6, 8), transforms=["int8_token"])
        >>> bool(found.frame()["output_error_max"][0] < 0.03)
        True
    """
    chosen = transforms if isinstance(transforms, Mapping) else named_transforms(transforms)
    network = unwrapped(model)
    measured = Passes(network, forward or call_model, params)
    held = settings()
    with untouched(network):
        return _measure(
            measured,
            batch,
            labels,
            chosen,
            calibration,
            (int(held["calibration_rows"]), int(held["seed"])),
            strict=transforms is not None,
        )


def _measure(
    model: Passes,
    batch: Batch,
    labels: Tensor | Literal["next_token"] | None,
    transforms: Mapping[str, Transform],
    calibration: Batch | None,
    numbers: tuple[int, int],
    *,
    strict: bool,
) -> LowPrecision:
    n_rows, seed = numbers
    searched = batch if calibration is None else calibration
    products: list[tuple[str, bool]] = []

    def plain(product: Product) -> Tensor:
        products.append((product.site.name, product.gated() is not None))
        return product.run()

    logits = model.run(batch, plain)
    if not products:
        raise ConfigError(
            "`model` must multiply something by a parameter, and no such product was seen. "
            "Scripted code and convolutions are not read: give the model before it is compiled."
        )
    given = None if labels is None else labels_of(labels, batch, logits)
    dense = None if given is None else losses(logits, given)
    refused = {
        name: f"`{name}` has no place here: {_NO_GATE}"
        for name, each in transforms.items()
        if each.gated_only and not any(gated for _, gated in products)
    }
    if refused and strict:
        raise ConfigError(" ".join(refused.values()))
    readout, errors, changes = products[-1][0], {}, {}
    for name, transform in transforms.items():
        if name in refused:
            continue
        kept = Calibration(transform, n_rows, valid_rows(searched).get(""))
        model.run(searched, kept)
        local = LocalErrors(kept, valid_rows(batch).get(""))
        model.run(batch, local)
        errors[name] = local.found
        if dense is None or given is None:
            continue
        for scope in _SCOPES:
            noise = named_generator(seed, f"noise beside {name}, {scope}")  # whatever others are
            changes[name, scope] = _changes(
                model, batch, given, dense, kept, readout if scope != "all" else None, noise
            )
    seen = {name for name, _ in products}
    return LowPrecision(
        loss=None if dense is None else dense.mean,
        n_sequences=len(dense.each) if dense is not None else 0,
        errors=errors,
        changes=changes,
        refused=refused,
        unseen=tuple(n for n, p in model.read.items() if p.ndim > 1 and n not in seen),
        readout=readout,
    )


def _changes(
    model: Passes,
    batch: Batch,
    labels: Tensor,
    dense: SequenceLosses,
    kept: Calibration,
    readout: str | None,
    noise: torch.Generator,
) -> tuple[Change, Change]:
    """The change of loss by a transform, and by noise of the same size."""
    but = frozenset() if readout is None else frozenset({readout})
    after = [
        losses(model.run(batch, Replacing(kept, but, drawn)), labels) for drawn in (None, noise)
    ]
    return change(dense, after[0]), change(dense, after[1])
