r"""The three stages of the Li2 network, from its hidden layer (arXiv:2509.21519).

Glossary: M symbols and answers, K hidden units, n examples; X their concatenated one-hots, Y their
one-hot answers, W = W_in `[2M, K]`, V = W_out `[K, M]`, F = sigma(XW) `[n, K]`. A tilde is centred
over examples: $\tilde F = P_1 F$, $P_1 = I - 11^\top / n$.
G_F = -dJ/dF `[n, K]` of J = half the squared norm of the centred Y - FV; it is never formed.

Stage I: `gradient_norm` climbs and `align` leaves 0. Stage II: units climb the energy one by one,
`gram_ratio` stays small. Stage III: `coverage` grows to floor(M / 2) on addition modulo M.
Weight decay alone moves `align`: compare with runs of the same decay that do not grok.

Everything is over the probe examples of the replica's own train split, and the work is done one
replica at a time: F of 5041 examples and 2048 units is 41 MB.
"""

from typing import ClassVar, final

import torch
from jaxtyping import Float, Int
from torch import Tensor

from observatory.core.columns import Column
from observatory.core.contracts import Masked, Measurement, Probe
from observatory.core.errors import ConfigError
from observatory.core.settings import known_name
from observatory.core.view import FleetView
from observatory.maths.activations import stacked_blocks
from observatory.maths.fourier import token_power

CENTRES = ("classes", "samples")
_PURE = 0.9  # share of power in one frequency above which a unit owns it
_LOOKED_AT = {
    "gradient_norm": "Frobenius norm of G_F = -dJ/dF, J half the squared norm of the "
    "centred residuals",
    "align": "cosine of G_F with YY'F, Y and F centred over examples",
    "align_shuffled": "cosine of G_F with YY'F after permuting the labels in Y: the "
    "control of align",
    "energy_mean": "energy of a unit at norm 1 over the largest of addition, scaled to "
    "all pairs; mean over units that are not dead",
    "energy_max": "as energy_mean, the largest unit instead of the mean",
    "gram_ratio": "mean |off-diagonal| over mean diagonal of F'F, F centred",
}
_SHUFFLE_SEED = 0  # of the permutation of the control: one and the same at every look


def centred_sums(
    rows: Float[Tensor, "sample d_mlp"], labels: Int[Tensor, " sample"], n_classes: int
) -> Float[Tensor, "d_vocab d_mlp"]:
    r"""$Y^\top \tilde F = \tilde Y^\top \tilde F$: rows summed by class, after centring them."""
    sums = rows.new_zeros(n_classes, rows.shape[1]).index_add_(0, labels, rows)
    counts = torch.bincount(labels, minlength=n_classes).to(rows.dtype)
    return sums - counts[:, None] * rows.mean(dim=0)


def residual(
    hidden: Float[Tensor, "sample d_mlp"],
    readout: Float[Tensor, "d_mlp d_vocab"],
    labels: Int[Tensor, " sample"],
    centre: str,
) -> Float[Tensor, "sample d_vocab"]:
    r"""The factor E of $G_F = E V^\top$: Y - FV, centred as the loss does it.

    Args:
        hidden: F.
        readout: V.
        labels: Answers.
        centre: Over the classes of each example, or over the examples, as in the paper.
    """
    left = -(hidden @ readout)
    left[torch.arange(len(labels), device=labels.device), labels] += 1
    return left - left.mean(dim=1 if centre == "classes" else 0, keepdim=True)


def gradient_norm(
    left: Float[Tensor, "sample d_vocab"], readout: Float[Tensor, "d_mlp d_vocab"]
) -> float:
    r"""$\lVert E V^\top \rVert_F$."""
    return float(((left.T @ left) * (readout.T @ readout)).sum().clamp(min=0).sqrt())


def alignment(
    left: Float[Tensor, "sample d_vocab"],
    readout: Float[Tensor, "d_mlp d_vocab"],
    hidden: Float[Tensor, "sample d_mlp"],
    labels: Int[Tensor, " sample"],
) -> float | None:
    r"""Cosine of G_F with $\tilde Y \tilde Y^\top \tilde F$; None where either is zero.

    Args:
        left: E.
        readout: V.
        hidden: F, or $\tilde F$.
        labels: Y: the right answers, or others.
    """
    n, n_classes = left.shape
    counts = torch.bincount(labels, minlength=n_classes).to(left.dtype)
    sums = centred_sums(hidden, labels, n_classes)
    squared = torch.diag(counts) - counts[:, None] * counts / n  # Y~' Y~
    size = float(((squared @ sums) * sums).sum().clamp(min=0).sqrt())
    size *= gradient_norm(left, readout)
    inner = float(((centred_sums(left, labels, n_classes) @ readout.T) * sums).sum())
    return inner / size if size != 0 else None


def largest_energy(n_symbols: int) -> float:
    r"""Energy of a single-frequency unit of norm 1 on all pairs, for addition modulo M.

    M/4, and M/2 for the frequency M/2 of an even M. The values printed in the paper are a quarter
    of these: its proof expands $(u + v)^2$ with one cross term instead of two.
    """
    return n_symbols / (4 if n_symbols % 2 else 2)


def energies(
    sums: Float[Tensor, "d_vocab d_mlp"], weights: Float[Tensor, "_ d_mlp"], n: int
) -> Float[Tensor, " d_mlp"]:
    r"""$\frac12 \lVert \tilde Y^\top \sigma(X w_j) \rVert^2$ at norm 1, over the largest.

    For the square alone, which is homogeneous: $\sigma(X w) / \lVert w \rVert^2$. The sums grow
    with the number of examples: they are scaled to all $M^2$ pairs, of which 1 is the largest. On
    fewer it can be exceeded, by units that have settled on those few.

    Args:
        sums: $Y^\top \tilde F$.
        weights: W.
        n: Number of examples.

    Returns:
        One share per unit; NaN for a unit whose weights are all zero.
    """
    n_symbols = len(sums)
    energy = 0.5 * sums.square().sum(dim=0) / weights.square().sum(dim=0).square()
    return energy * (n_symbols**2 / n) ** 2 / largest_energy(n_symbols)


def gram_ratio(hidden: Float[Tensor, "sample d_mlp"]) -> float | None:
    r"""Mean |off-diagonal| over mean diagonal of $\tilde F^\top \tilde F$; two units at least.

    None where all units are constant.
    """
    centred = hidden - hidden.mean(dim=0)
    products, k = centred.T @ centred, hidden.shape[1]
    diagonal = float(products.diagonal().sum())
    off = (float(products.abs().sum()) - diagonal) / (k - 1)
    return off / diagonal if diagonal != 0 else None


def owned(weights: Float[Tensor, "_ d_mlp"]) -> tuple[float | None, int]:
    """Mean purity of the units, None where there is no power, and how many frequencies are owned.

    A unit's purity is the share of its power in its largest frequency, the constant left out and
    both operands' halves added; the mean weights units by their power, so that dead ones do not
    count. A frequency is owned by a unit whose largest it is, with a purity above `_PURE`.
    """
    power = token_power(weights.unflatten(0, (2, -1))).sum(dim=0)
    largest, which = power.max(dim=0)
    total = power.sum(dim=0)
    coverage = which[largest > _PURE * total].unique().numel()
    whole = float(total.sum())
    return float(largest.sum()) / whole if whole != 0 else None, coverage


def stages(
    hidden: Float[Tensor, "sample d_mlp"],
    w_in: Float[Tensor, "_ d_mlp"],
    w_out: Float[Tensor, "d_mlp d_vocab"],
    labels: Int[Tensor, " sample"],
    *,
    centre: str,
    gram_units: int,
    squares: bool,
) -> dict[str, float | None]:
    """Every column of one network, None where it is undefined; NaN where W or F is not finite.

    Args:
        hidden: F.
        w_in: W.
        w_out: V.
        labels: Answers.
        centre: See `residual`.
        gram_units: Number of units, from the first one, whose Gram matrix is looked at.
        squares: Whether the activation is the square; there are no energies otherwise.
    """
    live = w_in.square().sum(dim=0) != 0
    purity, coverage = owned(w_in)
    finite = bool(w_in.isfinite().all())
    found: dict[str, float | None] = dict.fromkeys(_LOOKED_AT)
    if (n := len(labels)) > 1:
        order = torch.randperm(n, generator=torch.Generator().manual_seed(_SHUFFLE_SEED))
        left = residual(hidden, w_out, labels, centre)
        found["gradient_norm"] = gradient_norm(left, w_out)
        found["align"] = alignment(left, w_out, hidden, labels)
        found["align_shuffled"] = alignment(left, w_out, hidden, labels[order.to(labels.device)])
        if squares and live.any():
            energy = energies(centred_sums(hidden, labels, w_out.shape[1]), w_in, n)[live]
            found["energy_mean"], found["energy_max"] = float(energy.mean()), float(energy.amax())
        found["gram_ratio"] = gram_ratio(hidden[:, :gram_units])
    return {
        **found,
        "purity_mean": purity,
        "coverage": coverage if finite else None,
        "dead_count": int((~live).sum()) if finite else None,
    }


def _li2_weights(view: FleetView) -> tuple[Tensor, Tensor]:
    """W and V of every replica.

    Raises:
        ConfigError: If the weights are not those of an Li2 network on pairs.
    """
    shapes = {name: tuple(weight.shape[1:]) for name, weight in view.params.items()}
    match shapes:
        case {"W_in": (rows, units), "W_out": (same, symbols), **others} if (
            not others and rows == 2 * symbols and units == same > 1
        ):
            return view.params["W_in"], view.params["W_out"]
        case _:
            raise ConfigError(
                "`probe.li2` needs the Li2 network on pairs of as many symbols as answers, W_in "
                f"[2M, K] and W_out [K, M] with K > 1, got {shapes}. Leave the probe out, or set "
                "model=li2."
            )


def _squares_its_input(view: FleetView, hidden: Float[Tensor, "replica batch _"]) -> list[bool]:
    """Whether the first example's hidden layer is the square of what enters it, per replica.

    Also of a replica whose numbers are not finite: its energies are then NaN, not undefined.
    """
    before = stacked_blocks(view.activations, "mlp_pre")[:, 0, 0].square()
    return (~((hidden[:, 0] - before).abs() > 0).any(dim=-1)).tolist()


@final
class Li2(Probe):
    """The stages of an Li2 network: its gradient, energies and frequencies.

    Args:
        centre: "classes" or "samples", as in the loss.
        gram_units: Number of units, from the first one, whose Gram matrix is looked at.

    Raises:
        ConfigError: If `centre` is unknown or `gram_units` below 2.
    """

    needs = (("mlp_post",), ("mlp_pre",), ("onehots",))  # the last: of no other network
    columns: ClassVar[tuple[Column, ...]] = (
        *(
            Column(name=name, unit="1", meaning=f"{meaning}; on probe examples in train")
            for name, meaning in _LOOKED_AT.items()
        ),
        Column(
            name="purity_mean",
            unit="1",
            meaning="share of the units' Fourier power over tokens, without the constant, that is "
            "in their largest frequencies",
        ),
        Column(
            name="coverage",
            unit="1",
            dtype="int64",
            meaning=f"number of distinct frequencies with a unit whose purity is above {_PURE}",
        ),
        Column(
            name="dead_count",
            unit="1",
            dtype="int64",
            meaning="number of units whose input weights are all exactly zero",
        ),
    )

    def __init__(self, *, centre: str, gram_units: int) -> None:
        known_name("centre", centre, CENTRES)
        if gram_units < 2:
            raise ConfigError(
                f"`gram_units` must be at least 2, got {gram_units}. Their products are compared."
            )
        self.centre, self.gram_units = centre, gram_units

    def measure(self, view: FleetView) -> Measurement:
        """The columns of every replica of the view, from its hidden layer and its weights."""
        hidden = stacked_blocks(view.activations, "mlp_post")[:, 0]
        w_in, w_out = _li2_weights(view)
        found = [
            stages(
                hidden[r][view.in_train[r]].double(),
                w_in[r].double(),
                w_out[r].double(),
                view.labels[r][view.in_train[r]],
                centre=self.centre,
                gram_units=self.gram_units,
                squares=squares,
            )
            for r, squares in enumerate(_squares_its_input(view, hidden))
        ]
        return {
            c.name: Masked.of([row[c.name] for row in found], getattr(torch, c.dtype), w_in.device)
            for c in self.columns
        }
