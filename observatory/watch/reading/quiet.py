"""The guard of a look: a model stays what it was, bit for bit, or an error says what."""

from collections.abc import Callable, Iterator, Sequence
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
_MODULE, _PARAMETER = "module {}", "identity of parameter {}"
"""Entries of modules and parameters themselves, as a message names them."""
_Checked = dict[tuple[str, str], Any]
"""What must be the same, by the words that a message has for it and the path of its owner."""


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
    modules = list(model.named_modules())
    sharded = is_sharded(model)
    before = _checked(modules, sharded=sharded)
    held = Remembered(modules)
    training = [(module, module.training) for _, module in modules]
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
        after = _checked(list(model.named_modules()), sharded=sharded)
        changes = _changes(before, after) + _written(held)
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


def _changes(before: _Checked, after: _Checked) -> tuple[str, ...]:
    """Names of what is not the same object, or not equal, or there only once."""
    if before == after:
        return ()
    found, new = list[str](), {path for (words, path) in _owners(after) - _owners(before)}
    gone = {path for (words, path) in _owners(before) - _owners(after)}
    for key in dict.fromkeys((*before, *after)):
        words, path = key
        if path in new | gone:  # what belongs to a module that is new goes without saying
            if words in (_MODULE, _PARAMETER):
                found.append(f"{_named(key)} ({'new' if path in new else 'gone'})")
        elif (was := before.get(key)) != (value := after.get(key)):
            found.append(f"{_named(key)} ({_shown(value)}, was {_shown(was)})")
    return tuple(found)


def _owners(found: _Checked) -> set[tuple[str, str]]:
    return {key for key in found if key[0] in (_MODULE, _PARAMETER)}


def _named(key: tuple[str, str]) -> str:
    words, path = key
    return words.format(f"`{path}`" if path else "the model")


def _shown(value: object) -> str:
    return "another object" if isinstance(value, _Same) else f"{value}"


class _Same:
    """An object that equals itself alone; it is kept, so that no other one takes its address."""

    def __init__(self, value: object) -> None:
        self.value = value

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Same) and self.value is other.value

    __hash__ = object.__hash__


def _checked(modules: Sequence[tuple[str, nn.Module]], *, sharded: bool) -> _Checked:
    """What must be the same afterwards; hooks where there are any."""
    found: _Checked = {(name, ""): value for name, value in _flags()}
    # those of saving are made at the first forward of shards
    checked = HOOKS - _OF_SAVING if sharded else HOOKS
    seen = set[int]()
    for path, module in modules:
        found[_MODULE, path] = _Same(module)
        own = module.__dict__
        for name in checked:
            if hooks := own.get(name):
                found[f"`{name}` of {{}}", path] = list(hooks) if isinstance(hooks, dict) else hooks
        for name, parameter in module._parameters.items():
            if parameter is not None and id(parameter) not in seen:
                seen.add(id(parameter))
                _check_parameter(found, f"{path}.{name}" if path else name, parameter)
    return found


def _check_parameter(found: _Checked, path: str, parameter: Tensor) -> None:
    gradient = parameter.grad
    found[_PARAMETER, path] = _Same(parameter)
    found["writes of parameter {}", path] = version(parameter)
    found["`requires_grad` of parameter {}", path] = parameter.requires_grad
    if gradient is not None:
        found["the gradient of parameter {}", path] = _Same(gradient)
        found["writes to the gradient of parameter {}", path] = version(gradient)
    if hooks := parameter._backward_hooks:
        found["gradient hooks of parameter {}", path] = list(hooks)
    if hooks := getattr(parameter, "_post_accumulate_grad_hooks", None):
        found["accumulation hooks of parameter {}", path] = list(hooks)


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
