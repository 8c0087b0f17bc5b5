"""What a look can read, network by network and wrapper by wrapper, as the tables of docs/watch.md.

Every row is run: `make numbers` writes what this prints, a test refuses any other table.
"""

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

import torch
import transformers
from torch import Tensor, nn
from torch.nn.parallel import DataParallel

import observatory as ob
from observatory.watch.reading.patterns import Pattern
from observatory.watch.snapshot import Snapshot
from tests.unit.watch.families import FAMILIES, SIZES, eager_patterns, made, text
from tests.unit.watch.networks import (
    READ,
    D,
    Lstm,
    Router,
    SelfAttention,
    batch,
    expected,
    fused,
    network,
    summed,
)

Row = tuple[str, Snapshot | ob.AttentionNotFoundError, list[Tensor]]
PROBES = ("attention",)
X_TRANSFORMERS: dict[str, dict[str, Any]] = {
    "plain": {},
    "flash": {"attn_flash": True},
    "rotary, qk-norm": {"rotary_pos_emb": True, "attn_qk_norm": True},
    "grouped keys": {"attn_kv_heads": 2},
}


@contextmanager
def quiet_torch() -> Iterator[None]:
    """Warnings of torch and of the networks of others that say nothing of a look."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


class ByQueriesAndKeys:
    """The adapter for a module that has `queries` and `keys`."""

    matches = SelfAttention

    def pattern(self, module: Any, args: tuple[Any, ...], output: Any) -> Pattern:
        return ob.softmax_scores(module.queries(args[0]), module.keys(args[0]), causal=True)


def looked(model: nn.Module, given: Any, **options: Any) -> Snapshot | ob.AttentionNotFoundError:
    with quiet_torch():
        try:
            return ob.probe(model, given, probes=PROBES, **options)
        except ob.AttentionNotFoundError as refused:
            return refused


def difference(snap: Snapshot, references: list[Tensor], given: Any) -> float:
    """Largest difference on valid rows to the nearest reference of the same shape."""
    mask, worst = given.get("attention_mask") if isinstance(given, dict) else None, 0.0
    for mine in snap.patterns.values():
        valid = torch.ones(mine.shape[0], mine.shape[2]) == 1
        if mask is not None and mask.shape == valid.shape:
            valid = mask == 1
        worst = max(
            worst,
            min(
                float((mine - each).abs().transpose(1, 2)[valid].max())
                for each in references
                if each.shape == mine.shape
            ),
        )
    return worst


def x_transformer(options: dict[str, Any]) -> tuple[nn.Module, Tensor, list[Tensor]]:
    """A decoder of x-transformers, tokens, and the patterns that it gives itself.

    Its flash kernel gives none: those of the same weights without it stand in.
    """
    with quiet_torch():
        from x_transformers import Decoder, TransformerWrapper

    def decoder(**given: Any) -> Any:
        torch.manual_seed(0)
        layers = Decoder(dim=32, depth=2, heads=4, **given)
        return TransformerWrapper(num_tokens=50, max_seq_len=16, attn_layers=layers).eval()

    tokens = torch.randint(0, 50, (2, 8), generator=torch.Generator().manual_seed(1))
    plain = decoder(**{k: v for k, v in options.items() if k != "attn_flash"})
    with torch.no_grad():
        _, weights = plain(tokens, return_attn=True)
    return decoder(**options), tokens, list(weights)


def encoder_of_torch(*, train: bool) -> tuple[nn.Module, dict[str, Tensor], list[Tensor]]:
    """An encoder of torch with dropout and padding, and the pattern of its first layer."""
    torch.manual_seed(0)
    layer = nn.TransformerEncoderLayer(D, 2, 32, dropout=0.3, batch_first=True)
    model: Any = nn.TransformerEncoder(layer, 1, enable_nested_tensor=False)
    padding = torch.zeros(3, 6) == 1
    padding[1, 4:] = True
    x = batch()
    with torch.no_grad():
        _, weights = (
            model.eval()
            .layers[0]
            .self_attn(x, x, x, key_padding_mask=padding, average_attn_weights=False)
        )
    return model.train(train), {"src": x, "src_key_padding_mask": padding}, [weights]


def networks() -> Iterator[tuple[str, Any, list[Tensor], Any]]:
    """Name, what a look gave, the reference patterns and the batch of every network."""
    for name in FAMILIES:
        model, given = made(name)
        snap = looked(model, given)
        yield f"transformers: {name}", snap, eager_patterns(model, given), given
    for train in (False, True):
        model, given, weights = encoder_of_torch(train=train)
        name = f"nn.TransformerEncoder, padded, in {'training' if train else 'evaluation'}"
        yield name, looked(model, given), weights, given
    for name, (kernel, _) in READ.items():
        with quiet_torch():
            references = expected(network(fused), batch())
        yield f"own blocks: {name}", looked(network(kernel), batch()), references, batch()
    for name, options in X_TRANSFORMERS.items():
        model, tokens, weights = x_transformer(options)
        yield f"x-transformers: {name}", looked(model, tokens), weights, tokens
    yield from _without_attention()
    yield from _hidden()


def _without_attention() -> Iterator[tuple[str, Any, list[Tensor], Any]]:
    sizes = {"hidden_size": 32, "num_hidden_layers": 2, "vocab_size": 100, "state_size": 4}
    mamba = transformers.MambaForCausalLM(transformers.MambaConfig(**sizes))
    yield "transformers: Mamba", looked(mamba, text()), [], text()
    yield "nn.LSTM", looked(Lstm(), batch()), [], batch()
    convolutions = nn.Sequential(nn.Conv1d(6, 4, 3), nn.ReLU(), nn.Conv1d(4, 4, 3))
    yield "convolutions", looked(convolutions, batch()), [], batch()
    yield "soft experts, softmax over a table", looked(Router(), batch()), [], batch()


def _hidden() -> Iterator[tuple[str, Any, list[Tensor], Any]]:
    references = expected(network(fused), batch())
    name = "softmax, times values, sum"
    yield name, looked(network(summed), batch()), references, batch()
    adapted = looked(network(summed), batch(), adapters=[ByQueriesAndKeys()])
    yield f"{name}, with an adapter", adapted, references, batch()
    with quiet_torch():
        traced = torch.jit.trace(network(fused).eval(), batch())  # pyright: ignore
    yield "torch.jit", looked(traced, batch()), references, batch()  # pyright: ignore


def wrapped() -> Iterator[tuple[str, Any, list[Tensor], Any]]:
    """The same for one network within every wrapper that one process can make."""
    references = expected(network(fused), batch())

    def in_place(model: nn.Module) -> nn.Module:
        model.compile(backend="aot_eager")
        return model

    ways: dict[str, Callable[[nn.Module], nn.Module]] = {
        "nothing": lambda model: model,
        "torch.compile(model)": lambda model: torch.compile(model, backend="aot_eager"),  # pyright: ignore
        "model.compile()": in_place,
        "DataParallel": DataParallel,
        "Lightning Fabric": _fabric,
        "accelerate": _accelerated,
    }
    for name, wrap in ways.items():
        with quiet_torch():
            model = wrap(network(fused))
            model(batch())
        yield name, looked(model, batch()), references, batch()
    snap = looked(network(fused), batch(), precision="bfloat16")
    yield 'nothing, `precision="bfloat16"`', snap, references, batch()
    checkpointed: Any = transformers.LlamaForCausalLM(
        transformers.LlamaConfig(**SIZES, num_key_value_heads=2)
    )
    checkpointed.gradient_checkpointing_enable()
    snap = looked(checkpointed.train(), text())
    yield "gradient checkpointing (Llama)", snap, eager_patterns(checkpointed, text()), text()


def _fabric(model: nn.Module) -> nn.Module:
    from lightning.fabric import Fabric

    return Fabric(accelerator="cpu", devices=1).setup(model)


def _accelerated(model: nn.Module) -> nn.Module:
    from accelerate import Accelerator

    return Accelerator(cpu=True).prepare(model)


def verdict(found: Any, references: list[Tensor], given: Any) -> tuple[str, str]:
    """How attention was seen, and how far the patterns are from the network's own."""
    if isinstance(found, ob.AttentionNotFoundError):
        seen = str(found).partition("not read: ")[2].partition(". Say")[0]
        return "refused", seen.partition(";")[0].replace("\n", " ")
    if not found.found:
        return "none, rightly", "its activations and weights are looked at"
    ways = ", ".join(sorted({each.how for each in found.found}))
    worst = difference(found, references, given)
    exact = next(bound for bound in (1e-6, 1e-3, 1e-2, 1.0) if worst < bound)
    return f"{len(found.found)} by {ways}", f"below {exact:g}"


def table(rows: Iterator[tuple[str, Any, list[Tensor], Any]], first: str) -> str:
    lines = [
        "",
        f"| {first} | attention | largest difference to its own patterns |",
        "|---|---|---|",
    ]
    for name, found, references, given in rows:
        how, far = verdict(found, references, given)
        lines.append(f"| {name} | {how} | {far} |")
    return "\n".join([*lines, ""])


@cache
def networks_table() -> str:
    return table(networks(), "network")


@cache
def wrappers_table() -> str:
    return table(wrapped(), "wrapped by")
