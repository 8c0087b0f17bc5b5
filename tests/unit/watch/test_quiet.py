"""The guard leaves no trace of what may be put back, and names everything that may not."""

import random
import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from observatory.core.errors import DisturbedError
from observatory.watch.reading import remembered
from observatory.watch.reading.quiet import _READ, untouched
from tests.watched import KINDS, Hostile, train


@pytest.fixture(scope="module", autouse=True)
def imported() -> None:
    """Modules that torch imports at the first step of an optimizer draw random numbers."""
    train(Hostile, None, "after", steps=1)


def guarded(model: nn.Module, batch: Tensor) -> None:
    with untouched(model):
        model(batch)


def guarded_bfloat16(model: nn.Module, batch: Tensor) -> None:
    # oneDNN has no LSTM of bfloat16 for processors without AVX-512
    with torch.backends.mkldnn.flags(enabled=False), untouched(model, autocast=torch.bfloat16):
        model(batch)


def naive(model: nn.Module, batch: Tensor) -> None:
    model.eval()
    with torch.no_grad():
        model(batch)
    model.train()


def assert_same(a: Any, b: Any) -> None:
    (losses, end), (losses_b, end_b) = a, b
    assert losses == losses_b
    torch.testing.assert_close(end.pop("state"), end_b.pop("state"), rtol=0, atol=0)
    for name in end:
        assert np.array_equal(end[name], end_b[name]), name


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:TF32 acceleration on top of oneDNN")  # where it is turned off
@pytest.mark.parametrize("place", ["before", "after"])
@pytest.mark.parametrize("look", [guarded, guarded_bfloat16])
@pytest.mark.parametrize("kind", KINDS)
def test_twenty_steps_are_bit_equal_with_and_without_looks(kind: str, look, place: str) -> None:
    assert_same(train(KINDS[kind], None, place), train(KINDS[kind], look, place))


@pytest.mark.parametrize("kind", ["hostile", "frozen_norm"])
def test_a_look_without_the_guard_is_found_by_the_same_comparison(kind: str) -> None:
    alone, watched = train(KINDS[kind], None, "after"), train(KINDS[kind], naive, "after")
    assert alone[0] != watched[0]


def test_inside_all_is_evaluation_without_gradients_and_outside_each_has_its_own_mode() -> None:
    model = KINDS["frozen_norm"]()
    modes = [module.training for module in model.modules()]
    with untouched(model):
        assert not any(module.training for module in model.modules())
        assert not torch.is_grad_enabled()
        assert not torch.is_inference_mode_enabled()
    assert [module.training for module in model.modules()] == modes
    assert len(set(modes)) == 2


def test_autocast_is_as_asked_whatever_the_caller_has() -> None:
    model = nn.Linear(2, 2)
    x = torch.ones(1, 2)
    with torch.autocast("cpu", torch.bfloat16):
        with untouched(model):
            assert model(x).dtype == torch.float32
        with untouched(model, autocast=torch.float16):
            assert model(x).dtype == torch.float16
            assert not torch.is_autocast_cache_enabled()
        assert model(x).dtype == torch.bfloat16


def test_a_lazily_built_table_is_not_there_afterwards_and_no_inference_tensor() -> None:
    model = Hostile()
    with untouched(model):
        model(torch.ones(2, 6))
        assert not model.table.is_inference()
    assert "table" not in model._buffers
    assert "table" not in model._non_persistent_buffers_set
    assert (model.n, model.calls.item(), model.states, model.by_name) == (0, 0, [], {"last": []})
    assert model.running.eq(0).all()
    assert model.seen[0] == 0


def test_an_inference_tensor_that_the_model_holds_is_put_back() -> None:
    model = nn.Linear(2, 2)
    with torch.inference_mode():
        model.table = torch.zeros(2)
    with untouched(model), torch.inference_mode():
        model.table += 1
    assert model.table.eq(0).all()


def _write(model: nn.Linear) -> None:
    model.weight.mul_(2)


def _freeze(model: nn.Linear) -> None:
    model.bias.requires_grad_(False)


def _drop_gradient(model: nn.Linear) -> None:
    model.weight.grad = None


def _write_gradient(model: nn.Linear) -> None:
    assert model.weight.grad is not None
    model.weight.grad.zero_()


def _replace(model: nn.Linear) -> None:
    model.weight = nn.Parameter(torch.zeros(2, 2))


def _hook(model: nn.Linear) -> None:
    model.register_forward_hook(lambda *_: None)


def _gradient_hook(model: nn.Linear) -> None:
    model.weight.register_hook(lambda g: g)


def _accumulation_hook(model: nn.Linear) -> None:
    model.weight.register_post_accumulate_grad_hook(lambda _: None)


def _module(model: nn.Linear) -> None:
    model.more = nn.Dropout()


def _toggle(name: str) -> tuple[Callable[[], Any], Callable[[Any], Any]]:
    backend, flag = name.split(".")
    owner = getattr(torch.backends, backend)
    return lambda: getattr(owner, flag), lambda value: setattr(owner, flag, value)


DISTURBANCES = {
    "writes of parameter `weight`": _write,
    "`requires_grad` of parameter `bias`": _freeze,
    "the gradient of parameter `weight`": _drop_gradient,
    "writes to the gradient of parameter `weight`": _write_gradient,
    "identity of parameter `weight`": _replace,
    "`_forward_hooks` of the model": _hook,
    "gradient hooks of parameter `weight`": _gradient_hook,
    "accumulation hooks of parameter `weight`": _accumulation_hook,
    "module `more` (new)": _module,
}


@pytest.mark.parametrize("named", DISTURBANCES)
def test_what_cannot_be_put_back_is_named(named: str) -> None:
    model = nn.Linear(2, 2)
    model(torch.ones(1, 2)).sum().backward()
    with pytest.raises(DisturbedError, match=re.escape(named)) as caught, untouched(model):
        DISTURBANCES[named](model)
    assert any(named in change for change in caught.value.changes)


FLAGS: dict[str, tuple[Callable[[], Any], Callable[[Any], Any], Any]] = {
    "deterministic algorithms": (
        torch.are_deterministic_algorithms_enabled,
        torch.use_deterministic_algorithms,
        True,
    ),
    "default dtype": (torch.get_default_dtype, torch.set_default_dtype, torch.float64),
    "default device": (torch.get_default_device, torch.set_default_device, "meta"),
    "threads": (torch.get_num_threads, torch.set_num_threads, 3),
    "float32 matmul precision": (
        torch.get_float32_matmul_precision,
        torch.set_float32_matmul_precision,
        "high",
    ),
    "anomaly detection": (
        torch.is_anomaly_enabled,
        lambda on: torch.autograd.set_detect_anomaly(on, check_nan=True),
        True,
    ),
    "benchmark of cuDNN": (*_toggle("cudnn.benchmark"), True),
    "determinism of cuDNN": (*_toggle("cudnn.deterministic"), True),
    "cuDNN": (*_toggle("cudnn.enabled"), False),
    "warnings of deterministic algorithms": (
        torch.is_deterministic_algorithms_warn_only_enabled,
        lambda warn: torch.use_deterministic_algorithms(warn, warn_only=warn),
        True,
    ),
    "TF32 of matmul": (
        lambda: torch.backends.cuda.matmul.allow_tf32,
        lambda on: setattr(torch.backends.cuda.matmul, "allow_tf32", on),
        True,
    ),
    "TF32 of cuDNN": (*_toggle("cudnn.allow_tf32"), False),
    "memory-efficient attention": (
        torch.backends.cuda.mem_efficient_sdp_enabled,
        torch.backends.cuda.enable_mem_efficient_sdp,
        False,
    ),
    "math attention": (
        torch.backends.cuda.math_sdp_enabled,
        torch.backends.cuda.enable_math_sdp,
        False,
    ),
    "autocast on CUDA": (
        lambda: torch.is_autocast_enabled("cuda"),
        lambda on: torch.set_autocast_enabled("cuda", on),
        True,
    ),
    "dtype of autocast on CUDA": (
        lambda: torch.get_autocast_dtype("cuda"),
        lambda dtype: torch.set_autocast_dtype("cuda", dtype),
        torch.bfloat16,
    ),
    "flash attention": (
        torch.backends.cuda.flash_sdp_enabled,
        torch.backends.cuda.enable_flash_sdp,
        False,
    ),
}


@pytest.mark.parametrize("named", FLAGS)
@pytest.mark.filterwarnings("ignore:Anomaly Detection")
def test_a_flag_that_stays_changed_is_named(named: str) -> None:
    read, write, value = FLAGS[named]
    before = read()
    try:
        with pytest.raises(DisturbedError, match=re.escape(named)), untouched(nn.Linear(2, 2)):
            write(value)
    finally:
        write(before)
        torch.set_default_device(None)


def test_an_inference_mode_that_is_never_left_is_named() -> None:
    mode = torch.inference_mode()
    try:
        with pytest.raises(DisturbedError, match="inference mode"), untouched(nn.Linear(2, 2)):
            mode.__enter__()
    finally:
        mode.__exit__(None, None, None)
        torch.set_grad_enabled(True)


def test_every_flag_that_is_read_has_its_planted_disturbance() -> None:
    assert FLAGS.keys() | {"inference mode"} == _READ.keys()


def test_a_large_tensor_has_no_copy_and_is_checked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remembered, "LARGEST_COPY", 16)
    model = nn.Linear(2, 2)
    model.register_buffer("cache", torch.zeros(100))
    with untouched(model):
        pass
    with pytest.raises(DisturbedError, match=r"buffer `.cache` .*too large"), untouched(model):
        model.cache += 1


def test_an_error_inside_stays_the_error_with_a_note_of_what_changed() -> None:
    model = nn.Linear(2, 2)
    state = random.getstate()

    def fail() -> None:
        model.weight.mul_(2)
        random.random()
        raise KeyError("forward")

    with pytest.raises(KeyError) as caught, untouched(model):
        fail()
    assert "writes of parameter `weight`" in caught.value.__notes__[0]
    assert model.training
    assert random.getstate() == state


def test_states_between_forward_and_backward_are_left_alone() -> None:
    torch.manual_seed(0)
    model = KINDS["dropout"]()
    loss = model(torch.ones(2, 6)).sum()
    with untouched(model):
        model(torch.zeros(2, 6))
    loss.backward()
