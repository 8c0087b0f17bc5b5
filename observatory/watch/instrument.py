"""One look at any model, `probe`, and the instrument that looks again and again."""

import warnings
from collections.abc import Callable, Collection, Mapping, Sequence
from importlib.resources import files
from typing import Any, final

import torch
from torch import Tensor, nn

from observatory.core.errors import ConfigError
from observatory.core.settings import did_you_mean
from observatory.maths.norms import parameter_groups
from observatory.watch.measures import Look
from observatory.watch.reading.adapters import Adapter
from observatory.watch.reading.capture import capturing
from observatory.watch.reading.events import Event
from observatory.watch.reading.forward import (
    Batch,
    Forward,
    call_model,
    logits_of,
    n_sequences,
    unwrapped,
    valid_rows,
)
from observatory.watch.reading.quiet import untouched
from observatory.watch.reading.sharding import whole
from observatory.watch.reading.trace import Traced, trace
from observatory.watch.snapshot import Snapshot
from observatory.watch.states import Sequences, recurrent_modules
from observatory.watch.tables import PROBES, massive_name, of_states
from observatory.watch.tokens import decoder_of, texts_of, token_ids
from observatory.watch.weights import matrix_rows

_PRECISIONS = {"float32": None, "bfloat16": torch.bfloat16, "float16": torch.float16}


@final
class Instrument:
    """Looks at one model on one batch, as often as wanted; the parts are found once.

    Args:
        model: Any network, wrapped or compiled as it may be.
        batch: What it is called with: a tensor, a tuple, or a dict of keywords.
        forward: Calls it, where that is not `model(batch)`, `model(*batch)` or `model(**batch)`.
        adapters: The patterns of modules whose attention cannot be seen.
        attention: Whether attention is looked for; False for a model that cannot be read there.
        precision: "float32" for the precision of the weights, "bfloat16" or "float16" for autocast.
        rows: Which positions are no padding, `[batch, pos]`; None: by the masks of the batch.
        tokenizer: Your tokenizer, or a function from a list of ids to text such as its `decode`:
            the token at each largest activation is then recorded, and its text. Its ids are
            `input_ids` of the batch (`decoder_input_ids` of a decoder), or its first whole numbers
            `[batch, pos]`. It is called after the look, with one id at a time.

    Raises:
        AttentionNotFoundError: If the model seems to attend in a way that cannot be read.
        ConfigError: If an argument is not one of those.
        DisturbedError: If running the model for a look changed it.
    """

    def __init__(
        self,
        model: nn.Module,
        batch: Batch,
        *,
        forward: Callable[[nn.Module, Any], Any] | None = None,
        adapters: Sequence[Adapter] = (),
        attention: bool = True,
        precision: str = "float32",
        rows: Tensor | None = None,
        tokenizer: Any = None,
    ) -> None:
        _check(model, precision)
        self._decode = None if tokenizer is None else decoder_of(tokenizer)
        self._ids = {} if tokenizer is None else token_ids(batch)
        self.model, self.batch = unwrapped(model), batch
        self._forward: Forward = call_model if forward is None else forward
        self._adapters, self._dtype = tuple(adapters), _PRECISIONS[precision]
        self._rows = valid_rows(batch) if rows is None else {"": rows}
        self._n_batch = n_sequences(batch)
        self._names: tuple[tuple[str, ...], tuple[str, ...]] | None = None
        with untouched(self.model, autocast=self._dtype):
            self.traced: Traced = trace(
                self.model, batch, self._forward, self._adapters, attention=attention
            )

    def look(self, probes: Collection[str] = PROBES, *, keep_patterns: bool = False) -> Snapshot:
        """Run the model once and measure; it stays as it was, bit for bit.

        Args:
            probes: What is measured, among `PROBES`.
            keep_patterns: Whether the patterns are kept.

        Raises:
            ConfigError: If a probe is unknown.
            DisturbedError: If running the model changed it.
        """
        for name in probes:
            if name not in PROBES:
                raise ConfigError(
                    f"`probes` must be among {list(PROBES)}, got {name!r}.{_why(name)}"
                )
        anatomy = self.traced.anatomy
        seen = Look(anatomy, probes, self._rows, keep=keep_patterns, ids=self._ids)
        recurrent = recurrent_modules(self.model) if "states" in probes else {}
        sequences = Sequences(recurrent)

        def both(event: Event) -> None:
            sequences(event)
            seen(event)

        with untouched(self.model, autocast=self._dtype):
            with capturing(
                self.model,
                both if recurrent else seen,
                n_batch=self._n_batch,
                wanted=seen.wants,
                heard=lambda key: key.call.path in recurrent or seen.hears(key),
                by_rows=self.traced.by_rows,
                adapters=self._adapters,
            ):
                output = self._forward(self.model, self.batch)
            params = {name: whole(each) for name, each in self.model.named_parameters()}
            rows, ids = self._rows.get(""), self._ids.get("")
            states = sequences.states(rows)
            tables = seen.tables(params, logits_of(output)) | of_states(states, rows, ids)
        if self._names is None:
            self._names = tuple(matrix_rows(params, anatomy)), tuple(parameter_groups(params))
        for why in dict.fromkeys(sequences.unread.values()):
            first, *others = (path for path, reason in sequences.unread.items() if reason == why)
            more = f" and {len(others)} more" if others else ""
            warnings.warn(f"The states of `{first}`{more} are not read: {why}.", stacklevel=2)
        return Snapshot(
            tables=tables,
            found=self.traced.found,
            patterns=seen.patterns,
            layers=self._layers(tables, states),
            matrices=self._names[0],
            groups=self._names[1],
            without_attention=anatomy.without_attention,
            output=output,
            unread=sequences.unread,
            texts={} if self._decode is None else texts_of(tables, self._decode),
        )

    def _layers(
        self, tables: Collection[str], states: Mapping[str, Mapping[str, Tensor]]
    ) -> dict[str, tuple[str, ...]]:
        """Path of each layer of every table that has layers."""
        anatomy = self.traced.anatomy
        found: dict[str, tuple[str, ...]] = {}
        for path, by_name in states.items():
            for name, state in by_name.items():
                own = tuple(f"{path}, layer {index}" for index in range(len(state)))
                own = (path,) if name == "ssm" else own
                at = f"massive_{name}_state"
                found[at] = (*found.get(at, ()), *own)
        for stack, site, _ in anatomy.sites.values():
            if (name := massive_name(site, stack)) in tables:
                found[name] = anatomy.labels(stack, site)
        for name in tables:
            for stack, paths in anatomy.attention_layers.items():
                suffix = f"_{stack}" if stack else ""
                if name in (f"attention{suffix}", f"attention_heads{suffix}"):
                    found[name] = paths
        return found


def probe(
    model: nn.Module,
    batch: Batch,
    *,
    probes: Collection[str] = PROBES,
    forward: Callable[[nn.Module, Any], Any] | None = None,
    adapters: Sequence[Adapter] = (),
    attention: bool = True,
    precision: str = "float32",
    rows: Tensor | None = None,
    tokenizer: Any = None,
) -> Snapshot:
    """Look once at a model: its attention, activations, weights, and what the readout reads.

    The model stays as it was, bit for bit: weights, modes, buffers, hooks and random states.

    Args:
        model: Any network, wrapped or compiled as it may be.
        batch: What it is called with: a tensor, a tuple, or a dict of keywords.
        probes: What is measured.
        forward: See `Instrument`, as the others.
        adapters: The patterns of modules whose attention cannot be seen.
        attention: Whether attention is looked for.
        precision: "float32", "bfloat16" or "float16".
        rows: Which positions are no padding.
        tokenizer: Names the tokens at the largest activations; see `Instrument`.

    Raises:
        AttentionNotFoundError: If the model seems to attend in a way that cannot be read.
        ConfigError: If an argument is wrong.
        DisturbedError: If running the model changed it.

    Example:
        >>> layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)
        >>> snap = probe(nn.TransformerEncoder(layer, 2), torch.randn(3, 5, 8))
        >>> snap.patterns["blocks.1.attn_pattern"].shape
        torch.Size([3, 2, 5, 5])
    """
    instrument = Instrument(
        model,
        batch,
        forward=forward,
        adapters=adapters,
        attention=attention,
        precision=precision,
        rows=rows,
        tokenizer=tokenizer,
    )
    return instrument.look(probes, keep_patterns=True)


def _check(model: object, precision: str) -> None:
    if not isinstance(model, nn.Module):
        raise ConfigError(
            f"`model` must be a torch.nn.Module, got {type(model).__name__}. Give the network."
        )
    if precision not in _PRECISIONS:
        raise ConfigError(f"`precision` must be among {list(_PRECISIONS)}, got {precision!r}.")


def _why(name: str) -> str:
    """What to say of a probe that cannot look at any model."""
    of_studies = files("observatory.conf").joinpath("probe", f"{name}.yaml")
    if name.isidentifier() and of_studies.is_file():
        return (
            " That one looks at a network on its task, which a batch is not: train it here, and "
            f"`observatory probe STUDY --probe {name}`."
        )
    return did_you_mean(name, PROBES)
