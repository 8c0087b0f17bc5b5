"""The guard of a look: a model stays what it was, bit for bit, or an error says what."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from observatory.core.errors import DisturbedError
from observatory.watch.reading.remembered import HOOKS, Remembered, random_states, version
from observatory.watch.reading.sharding import is_sharded, reshard

_OF_SAVING = frozenset(name for name in HOOKS if "state_dict" in name)
_SHOWN = 8
"""Most changes that a message names."""
_OWNERS = ("module", "identity of parameter")
"""How the entries of modules and parameters themselves begin."""


@contextmanager
def untouched(model: nn.Module, *, autocast: torch.dtype | None = None) -> Iterator[None]:
    """Run the model for a look, in evaluation mode and without gradients, and leave no trace.

    On leaving, put back: the random states of torch (CPU and CUDA), numpy and Python; `training` of
    every module by itself, so that a frozen layer stays frozen; buffers, plain attributes, what
    lists and dictionaries among them hold, generators and tensors that a module holds.

    On leaving, checked and not repaired: parameters, their gradients, `requires_grad` and hooks;
    modules and their hooks; modes, flags and thread count of torch; tensors above 64 MiB that are
    no parameters, of which no copy is kept.

    Not covered: state in C++ or in other objects that a module holds, what the user's own hooks do
    elsewhere, the memory allocator and the choices of kernels of CUDA.

    Args:
        model: The network itself, not a wrapper whose forward waits for other processes.
        autocast: Precision of autocast inside, float16 or bfloat16; None: no autocast, even where
            the caller has it on.

    Raises:
        DisturbedError: If what ran inside changed what is checked; the message names it.

    Example:
        >>> model = nn.Sequential(nn.Linear(2, 2), nn.Dropout())
        >>> with untouched(model):
        ...     model.training
        False
        >>> model.training
        True
    """
    restore_random = random_states()
    try:
        with _as_it_was(model), ExitStack() as contexts:
            for module in model.modules():
                module.training = False  # not `eval()`: users override it
            contexts.enter_context(torch.no_grad())  # inference tensors would break the next step
            for device in sorted({p.device.type for p in model.parameters()} | {"cpu"}):
                contexts.enter_context(_autocast(device, autocast))
            yield
    finally:
        restore_random()  # last: whatever else is done may draw


@contextmanager
def _as_it_was(model: nn.Module) -> Iterator[None]:
    """Put back and check the model and the flags; see `untouched`."""
    before = _checked(model)
    held = Remembered(model.named_modules())
    training = [(module, module.training) for module in model.modules()]
    failure: BaseException | None = None
    try:
        yield
    except BaseException as error:
        failure = error
        raise
    finally:
        for module, mode in training:
            module.training = mode
            reshard(module)
        held.restore()
        changes = _changes(before, _checked(model)) + _written(held)
        if changes and failure is None:
            raise DisturbedError(changes, _message(changes))
        if changes and failure is not None:
            failure.add_note(_message(changes))


def _autocast(device: str, dtype: torch.dtype | None) -> torch.autocast:
    return torch.autocast(device, dtype=dtype, enabled=dtype is not None, cache_enabled=False)


def _message(changes: tuple[str, ...]) -> str:
    more = f" and {len(changes) - _SHOWN} more" if len(changes) > _SHOWN else ""
    return (
        "A look must leave the model as it was, got changes of: "
        + "; ".join(changes[:_SHOWN])
        + f"{more}. They were not repaired. Load the last checkpoint, and remove from the "
        "forward, its hooks or the probe what makes them."
    )


def _changes(before: dict[str, Any], after: dict[str, Any]) -> tuple[str, ...]:
    """Names of what is not the same object, or not equal, or there only once."""
    gone = [
        f"{name} ({'new' if name in after else 'gone'})"
        for name in before.keys() ^ after
        if name.startswith(_OWNERS)  # what belongs to a module that is new goes without saying
    ]
    changed = [
        f"{name} ({_shown(value)}, was {_shown(before[name])})"
        for name, value in after.items()
        if name in before and value != before[name]
    ]
    return (*sorted(gone), *changed)


def _shown(value: object) -> str:
    return "another object" if isinstance(value, _Same) else f"{value}"


class _Same:
    """An object that equals itself alone; it is kept, so that no other one takes its address."""

    def __init__(self, value: object) -> None:
        self.value = value

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Same) and self.value is other.value

    __hash__ = object.__hash__


def _checked(model: nn.Module) -> dict[str, Any]:
    """What must be the same afterwards, by the words that a message has for it."""
    found: dict[str, Any] = dict(_flags())
    # those of saving are made at the first forward of shards
    hooks_checked = HOOKS - _OF_SAVING if is_sharded(model) else HOOKS
    for path, module in model.named_modules():
        at = f"`{path}`" if path else "the model"
        found[f"module {at}"] = _Same(module)
        for name in hooks_checked & module.__dict__.keys():
            hooks = module.__dict__[name]
            found[f"`{name}` of {at}"] = list(hooks) if isinstance(hooks, dict) else hooks
    for path, parameter in model.named_parameters():
        found |= {f"{what} of parameter `{path}`": v for what, v in _of(parameter).items()}
    return found


def _of(parameter: Tensor) -> dict[str, Any]:
    gradient = parameter.grad
    return {
        "identity": _Same(parameter),
        "writes": version(parameter),
        "`requires_grad`": parameter.requires_grad,
        "the gradient": _Same(gradient),
        "writes to the gradient": None if gradient is None else version(gradient),
        "gradient hooks": list(parameter._backward_hooks or ()),
        "accumulation hooks": list(getattr(parameter, "_post_accumulate_grad_hooks", None) or ()),
    }


def _written(held: Remembered) -> tuple[str, ...]:
    """Tensors without a copy that were written."""
    return tuple(
        f"{path} (written, and too large to keep a copy)"
        for path, (tensor, before) in held.large.items()
        if before is None or version(tensor) != before
    )


def _flags() -> Iterator[tuple[str, Any]]:
    """Modes and flags of torch, by name; one that refuses to be read is left out.

    The modes that the guard itself sets are put back as it ends.
    """
    for name, read in _READ.items():
        try:
            yield name, read()
        except RuntimeError:  # old and new ways to set TF32 were mixed
            continue


_READ: dict[str, Callable[[], Any]] = {
    "inference mode": torch.is_inference_mode_enabled,
    "anomaly detection": torch.is_anomaly_enabled,
    "deterministic algorithms": torch.are_deterministic_algorithms_enabled,
    "warnings of deterministic algorithms": (torch.is_deterministic_algorithms_warn_only_enabled),
    "default dtype": torch.get_default_dtype,
    "default device": torch.get_default_device,
    "threads": torch.get_num_threads,
    "float32 matmul precision": torch.get_float32_matmul_precision,
    "TF32 of matmul": lambda: torch.backends.cuda.matmul.allow_tf32,
    "TF32 of cuDNN": lambda: torch.backends.cudnn.allow_tf32,
    "cuDNN": lambda: torch.backends.cudnn.enabled,
    "benchmark of cuDNN": lambda: torch.backends.cudnn.benchmark,
    "determinism of cuDNN": lambda: torch.backends.cudnn.deterministic,
    "flash attention": torch.backends.cuda.flash_sdp_enabled,
    "memory-efficient attention": torch.backends.cuda.mem_efficient_sdp_enabled,
    "math attention": torch.backends.cuda.math_sdp_enabled,
    "autocast on CUDA": lambda: torch.is_autocast_enabled("cuda"),
    "dtype of autocast on CUDA": lambda: torch.get_autocast_dtype("cuda"),
}
