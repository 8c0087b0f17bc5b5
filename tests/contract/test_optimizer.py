"""Every YAML of conf/optimizer, and variants, moves each replica as torch.optim does alone."""

from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
from hydra.utils import instantiate
from torch import Tensor

import observatory
from observatory.core.contracts import Hyper, Optimizer
from observatory.core.layout import Layout, Params
from tests.composed import block
from tests.plain_lion import PlainLion

NAMES = sorted(
    path.stem
    for path in (Path(observatory.__file__).parents[1] / "conf" / "optimizer").glob("*.yaml")
)
VARIANTS = [
    "sgd optimizer.update.momentum=0.0",
    "sgd optimizer.update.nesterov=true",
    "muon optimizer.update.nesterov=false optimizer.update.ns_steps=1",
    "muon optimizer.update.scale=match_rms_adamw optimizer.update.rest_lr_ratio=0.3",
    "muon optimizer.update.scale=none",
    "adamw_warmup optimizer.update.steps=1",
    "lion optimizer.update.beta1=0.0",
    "exponentiated optimizer.update.decay_form=in_gradient",
    "exponentiated optimizer.update.roles=[hidden] optimizer.update.rest_lr_ratio=0.3",
]
# Wide, tall and square hidden matrices; a weight of one entry.
WEIGHTS: dict[str, tuple[tuple[int, ...], Any]] = {
    "W_E": ((4, 3), "embedding"),
    "W_in": ((3, 5), "hidden"),
    "b": ((5,), "pointwise"),
    "W_out": ((5, 3), "hidden"),
    "W_Q": ((3, 3), "hidden"),
    "gain": ((1,), "pointwise"),
    "W_U": ((3, 4), "readout"),
}
ROW = Layout(
    tuple(WEIGHTS),
    tuple(torch.Size(shape) for shape, _ in WEIGHTS.values()),
    tuple(role for _, role in WEIGHTS.values()),
)
SIZE = sum(ROW.sizes)
HYPER = Hyper(
    lr=torch.tensor([0.1, 0.01, 0.001]).double(),
    weight_decay=torch.tensor([0.0, 0.5, 3.0]).double(),
    decays=torch.ones(SIZE, dtype=torch.float64),
    layout=ROW,
)


@cache
def settings(name: str) -> dict[str, Any]:
    return block("optimizer", f"optimizer={name.split()[0]}", *name.split()[1:])["update"]


@pytest.fixture(params=[*NAMES, *VARIANTS])
def optimizer(request: pytest.FixtureRequest) -> Optimizer:
    return instantiate(settings(request.param), _convert_="all")


def drawn(*shape: int, seed: int) -> Tensor:
    rng = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, dtype=torch.float64, generator=rng)


def advanced(
    optimizer: Optimizer, flat: Tensor, gradients: Tensor, hyper: Hyper = HYPER
) -> tuple[Tensor, Params]:
    flat = flat.clone()
    state = optimizer.init(flat)
    for grads in gradients:
        optimizer.update(flat, grads, state, hyper)
    return flat, state


# The twins: one replica, written with torch.optim and the papers' formulas ------------------------

Twin = Callable[[dict[str, torch.nn.Parameter], float], None]
"""One step from the parameters' `.grad`, at a share of the learning rate."""


def torch_twin(make: Callable[..., torch.optim.Optimizer]) -> Twin:
    """A `torch.optim` class, made at the first step."""
    made: list[tuple[torch.optim.Optimizer, float]] = []

    def step(parameters: dict[str, torch.nn.Parameter], share: float) -> None:
        if not made:
            twin = make(parameters.values())
            made.append((twin, twin.param_groups[0]["lr"]))
        twin, lr = made[0]
        twin.param_groups[0]["lr"] = share * lr
        twin.step()

    return step


def muon_twin(o: Any, lr: float, weight_decay: float) -> Twin:
    """torch.optim.Muon on the transposed hidden matrices: it takes `[fan-out, fan-in]`."""
    rest = twin_of(o.rest, lr, weight_decay)
    turned: dict[str, torch.nn.Parameter] = {}
    hidden = torch_twin(
        lambda weights: torch.optim.Muon(
            list(weights),
            lr=lr,
            weight_decay=weight_decay,
            momentum=o.momentum,
            nesterov=o.nesterov,
            ns_coefficients=o.ns_coefficients,
            eps=o.eps,
            ns_steps=o.ns_steps,
            adjust_lr_fn=None if o.scale == "none" else o.scale,
        )
    )

    def step(parameters: dict[str, torch.nn.Parameter], share: float) -> None:
        others = {n: p for n, p in parameters.items() if WEIGHTS[n][1] != "hidden"}
        rest(others, share * o.rest_lr_ratio)
        for name in parameters.keys() - others.keys():
            parameter = parameters[name]
            assert parameter.grad is not None
            turned.setdefault(name, torch.nn.Parameter(parameter.detach().T.clone()))
            turned[name].grad = parameter.grad.T.clone()
        hidden(turned, share)
        for name, parameter in turned.items():
            parameters[name].data = parameter.detach().T.clone()

    return step


def grokfast_twin(o: Any, lr: float, weight_decay: float) -> Twin:
    inner = twin_of(o.inner, lr, weight_decay)
    averages: dict[str, Tensor] = {}

    def step(parameters: dict[str, torch.nn.Parameter], share: float) -> None:
        for name, parameter in parameters.items():
            g = parameter.grad
            assert g is not None
            averages[name] = o.alpha * averages.get(name, g) + (1 - o.alpha) * g
            parameter.grad = g + o.lamb * averages[name]
        inner(parameters, share)

    return step


def orthograd_twin(o: Any, lr: float, weight_decay: float) -> Twin:
    inner = twin_of(o.inner, lr, weight_decay)

    def step(parameters: dict[str, torch.nn.Parameter], share: float) -> None:
        for parameter in parameters.values():
            w, g = parameter.detach(), parameter.grad
            assert g is not None
            if w.numel() > 1:
                h = g - (w * g).sum() / ((w * w).sum() + o.eps) * w
                parameter.grad = h * g.norm() / (h.norm() + o.eps)
        inner(parameters, share)

    return step


def warmup_twin(o: Any, lr: float, weight_decay: float) -> Twin:
    inner = twin_of(o.inner, lr, weight_decay)
    made = 0

    def step(parameters: dict[str, torch.nn.Parameter], share: float) -> None:
        nonlocal made
        made += 1
        inner(parameters, share * min(1.0, made / o.steps))

    return step


def exponentiated_twin(o: Any, lr: float, weight_decay: float) -> Twin:
    """The exponent is what the twin of `inner` adds to zeros."""
    inner, rest = twin_of(o.inner, lr, 0.0), twin_of(o.rest, lr, weight_decay)
    zeros: dict[str, torch.nn.Parameter] = {}

    def step(parameters: dict[str, torch.nn.Parameter], share: float) -> None:
        chosen = {n: p for n, p in parameters.items() if WEIGHTS[n][1] in o.roles}
        for name, parameter in chosen.items():
            assert parameter.grad is not None
            zeros.setdefault(name, torch.nn.Parameter(torch.zeros_like(parameter)))
            zeros[name].data.zero_()
            coupled = weight_decay if o.decay_form == "in_gradient" else 0.0
            zeros[name].grad = parameter.grad + coupled * parameter.detach().sign()
        inner(zeros, share)
        rest({n: p for n, p in parameters.items() if n not in chosen}, share * o.rest_lr_ratio)
        keep = 1 - share * lr * weight_decay if o.decay_form == "decoupled" else 1.0
        for name, parameter in chosen.items():
            w = parameter.detach()
            exponent = (w.sign() * zeros[name].detach()).clamp(-1, 1)
            parameter.data = keep * w * exponent.exp()

    return step


def twin_of(o: Any, lr: float, weight_decay: float) -> Twin:
    common = {"lr": lr, "weight_decay": weight_decay}
    match type(o).__name__:
        case "AdamW" | "Adam" as name:
            m = o.moments
            adam = getattr(torch.optim, name)
            return torch_twin(lambda w: adam(w, betas=(m.beta1, m.beta2), eps=m.eps, **common))
        case "SGD":
            more = {"momentum": o.momentum, "nesterov": o.nesterov}
            return torch_twin(lambda w: torch.optim.SGD(w, **common, **more))
        case "Lion":
            return torch_twin(lambda w: PlainLion(w, betas=(o.beta1, o.beta2), **common))
        case name:
            wrappers = {
                "Muon": muon_twin,
                "Grokfast": grokfast_twin,
                "OrthoGrad": orthograd_twin,
                "Warmup": warmup_twin,
                "ExponentiatedGradient": exponentiated_twin,
            }
            return wrappers[name](o, lr, weight_decay)


@pytest.mark.slow
def test_every_row_follows_its_twin(optimizer, monkeypatch: pytest.MonkeyPatch) -> None:
    # Muon of torch casts to bfloat16 by this method; ours keeps the precision of the parameters.
    monkeypatch.setattr(Tensor, "bfloat16", Tensor.clone)
    if getattr(optimizer, "scale", None) == "none":  # torch offers no such choice
        monkeypatch.setattr("torch.optim._muon._adjust_lr", lambda lr, *_: lr)
    start, gradients = drawn(3, SIZE, seed=1), drawn(30, 3, SIZE, seed=0)
    ours, _ = advanced(optimizer, start, gradients)
    for row in range(3):
        parameters = {
            name: torch.nn.Parameter(view[row].clone()) for name, view in ROW.views(start).items()
        }
        step = twin_of(optimizer, float(HYPER.lr[row]), float(HYPER.weight_decay[row]))
        for grads in gradients:
            for name, view in ROW.views(grads).items():
                parameters[name].grad = view[row].clone()
            step(parameters, 1.0)
        for name, view in ROW.views(ours).items():
            # Rounding of 1e-16 a step, amplified where Newton-Schulz lifts small singular values.
            assert (view[row] - parameters[name].detach()).abs().max() < 1e-10, (row, name)


# What the fleet relies on -------------------------------------------------------------------------


def test_gradients_are_left_alone(optimizer: Optimizer) -> None:
    gradients = drawn(3, 3, SIZE, seed=0)
    before = gradients.clone()
    advanced(optimizer, drawn(3, SIZE, seed=1), gradients)
    assert torch.equal(gradients, before)


def test_only_weights_that_decay_feel_the_decay(optimizer: Optimizer) -> None:
    """With and without decay the undecayed weights move alike; the others do not."""
    decays = torch.cat([torch.full((n,), float(i > 1)) for i, n in enumerate(ROW.sizes)]).double()
    start, gradients = drawn(3, SIZE, seed=1), drawn(5, 3, SIZE, seed=0)
    on, _ = advanced(optimizer, start, gradients, replace(HYPER, decays=decays))
    off, _ = advanced(optimizer, start, gradients, replace(HYPER, weight_decay=0 * HYPER.lr))
    assert torch.equal(on[:, decays == 0], off[:, decays == 0])
    assert torch.equal(on[0], off[0])  # weight decay 0
    assert (on[1:, decays == 1] != off[1:, decays == 1]).all()


def test_decay_alone_shrinks(optimizer: Optimizer) -> None:
    start = drawn(3, SIZE, seed=1)
    after, _ = advanced(optimizer, start, torch.zeros(2, 3, SIZE, dtype=torch.float64))
    assert torch.equal(after[0], start[0])
    assert (after[1:].norm(dim=1) < start[1:].norm(dim=1)).all()


def test_replicas_do_not_mix(optimizer: Optimizer) -> None:
    start, gradients = drawn(3, SIZE, seed=1), drawn(5, 3, SIZE, seed=0)
    clean, _ = advanced(optimizer, start, gradients)
    gradients[2, 1] = torch.nan
    sick, state = advanced(optimizer, start, gradients)
    assert sick[1].isnan().any()
    assert torch.equal(clean[[0, 2]], sick[[0, 2]])
    assert all(value[[0, 2]].isfinite().all() for value in state.values())


def test_permuted_replicas_give_permuted_rows(optimizer: Optimizer) -> None:
    order = [2, 0, 1]
    start, gradients = drawn(3, SIZE, seed=1), drawn(5, 3, SIZE, seed=0)
    turned = replace(HYPER, lr=HYPER.lr[order], weight_decay=HYPER.weight_decay[order])
    plain, _ = advanced(optimizer, start, gradients)
    permuted, _ = advanced(optimizer, start[order], gradients[:, order], turned)
    # Not bitwise: a row's place decides which of its entries are vectorised together.
    assert (permuted - plain[order]).abs().max() < 1e-12


def test_a_refilled_slot_starts_as_new(optimizer: Optimizer) -> None:
    """As the fleet does it: the row, and row 0 of a fresh state of one replica, are written in."""
    first, second = drawn(3, SIZE, seed=1), drawn(3, SIZE, seed=2)
    gradients = drawn(12, 3, SIZE, seed=0)
    flat, state = advanced(optimizer, first, gradients)
    assert all(len(value) == 3 for value in state.values())
    flat[1] = second[1]
    for name, value in optimizer.init(flat[1:2]).items():
        state[name][1] = value[0]
    later = drawn(4, 3, SIZE, seed=3)
    for grads in later:
        optimizer.update(flat, grads, state, HYPER)
    alone, _ = advanced(optimizer, second, later)
    unbroken, _ = advanced(optimizer, first, torch.cat([gradients, later]))
    assert torch.equal(flat[1], alone[1])
    assert torch.equal(flat[[0, 2]], unbroken[[0, 2]])


def test_a_saved_state_goes_on_bitwise(optimizer: Optimizer) -> None:
    start, gradients = drawn(3, SIZE, seed=1), drawn(6, 3, SIZE, seed=0)
    whole, _ = advanced(optimizer, start, gradients)
    flat, saved = advanced(optimizer, start, gradients[:3])
    state = optimizer.init(flat)
    for name, value in saved.items():
        state[name].copy_(value)
    for grads in gradients[3:]:
        optimizer.update(flat, grads, state, HYPER)
    assert torch.equal(flat, whole)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_an_empty_slot_stays_empty_and_finite(optimizer: Optimizer, dtype: torch.dtype) -> None:
    hyper = Hyper(
        lr=torch.tensor([0.0, 0.01], dtype=dtype),
        weight_decay=torch.tensor([1.0, 1.0], dtype=dtype),
        decays=torch.ones(SIZE, dtype=dtype),
        layout=ROW,
    )
    for grads in (torch.zeros(4, 2, SIZE, dtype=dtype), drawn(4, 2, SIZE, seed=0).to(dtype)):
        flat, state = advanced(optimizer, torch.zeros(2, SIZE, dtype=dtype), grads, hyper)
        assert (flat[0] == 0).all()
        assert flat.isfinite().all()
        assert all(value.isfinite().all() for value in state.values())
        assert flat.dtype == dtype
