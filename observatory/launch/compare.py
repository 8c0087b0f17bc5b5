"""The runs of a comparison: one for each arm, of one size, and a check of their learning rates."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import combinations
from typing import Any

import numpy as np
from torch import nn

from observatory.core.contracts import Model
from observatory.core.errors import ConfigError
from observatory.core.names import check_plain_name
from observatory.core.settings import NotNegative, Positive, checked, known_name
from observatory.core.settings import Size as AtLeastOne
from observatory.launch.compose import changed_presets, compose_block, compose_runs
from observatory.launch.overrides import parsed
from observatory.training.replicas import Config

BASE = "base"
"""The arm without settings of its own, with which the others are compared."""
UNITS = {
    "parameters": "parameters outside embedding and readout",
    "operations": "operations a step",
}
"""What can be matched, in words."""
ENDS = ("embedding", "readout")
WIDTHS = ("d_mlp", "d_hidden", "d_model")
_PLAIN = re.compile(r"[A-Za-z_][\w./-]*")
"""What needs no quotes in an override."""
_SHARED = ("sweep", "horizon_steps", "train_fraction", "batch_size", "seed")
"""Settings without which splits, seeds, weight decays or horizons are not those of the base."""
_WIDEST = 1 << 14
_TYPES = {
    "arms": dict[str, dict[str, Any]],
    "match": str | None,
    "setting": str | None,
    "tolerance": NotNegative,
    "lr_factors": list[Positive],
    "lr_decays": AtLeastOne,
    "lr_seeds": AtLeastOne,
}
Size = Callable[[Config], int]
"""How large the network of a run is: its parameters, or the operations of a step."""


@dataclass(frozen=True)
class Comparison:
    """What a comparison trains.

    Attributes:
        runs: By arm, the base first; all in one study.
        rates: Runs of the check of learning rates by arm and factor, in a study beside it.
        notes: What was matched, and what is not comparable.
    """

    runs: dict[str, Config]
    rates: dict[tuple[str, float], Config]
    notes: list[str]


def comparison(overrides: Sequence[str], sizes: Mapping[str, Size]) -> Comparison:
    """Compose a comparison.

    Args:
        overrides: As of a map, and `arms.NAME={KEY: VALUE, ...}`, `match=...`, `compare.KEY=VALUE`.
        sizes: What can be matched, by name.

    Raises:
        ConfigError: If there is no arm, one cannot be composed, is several runs, or cannot be
            matched.
    """
    rest, settings = _split(overrides)
    arms = settings["arms"]
    if not arms:
        raise ConfigError(
            "`compare` must be given an arm. Write 'arms.NAME={KEY: VALUE}', such as "
            "'arms.elu={model.activation: elu}'."
        )
    if settings["match"] is not None:
        known_name("match", settings["match"], sizes)
    runs, presets = {BASE: _one(BASE, rest)}, dict[str, list[str]]()
    for name, own in arms.items():
        check_plain_name(f"arms.{name}", name)
        if name == BASE:
            raise ConfigError(f"`arms.{name}` must have another name: it is that of the base.")
        changed = [f"{key}={typed(value)}" for key, value in own.items()]
        runs[name] = _one(name, [*rest, *changed])
        presets[name] = changed_presets("map", [*rest, *changed])
        for key in ("study", "results"):
            if runs[name][key] != runs[BASE][key]:
                raise ConfigError(
                    f"`arms.{name}` must not change `{key}`: arms are groups of one study."
                )
    about = dict[str, str]()
    for name, size in _matched(runs, settings, sizes[settings["match"] or "parameters"]).items():
        own = [f"{key} = {typed(value)}" for key, value in arms.get(name, {}).items()]
        said = [", ".join([*own, size]), *presets.get(name, ()), *_apart(runs[name], runs[BASE])]
        about[name] = " ".join(said)
    _check_different(runs, settings["match"])
    named = {
        name: {**config, "compare": {"arm": name, "place": place, "about": about[name]}}
        for place, (name, config) in enumerate(runs.items())
    }
    rates, unchecked = _rates(named, settings)
    return Comparison(named, rates, [*(f"{n}: {text}" for n, text in about.items()), *unchecked])


def n_inner(network: nn.Module) -> int:
    """Trained entries outside embedding and readout, by which networks are matched."""
    assert isinstance(network, Model)
    inner = [n for n, weight in network.weights().items() if weight.role not in ENDS]
    sizes = {name: parameter.numel() for name, parameter in network.named_parameters()}
    return sum(sizes[name] for name in inner)


def _split(overrides: Sequence[str]) -> tuple[list[str], dict[str, Any]]:
    """What all arms share, and the settings of the comparison."""
    rest, own, arms = list[str](), list[str](), dict[str, Any]()
    for override, text in zip(parsed(overrides), overrides, strict=True):
        head, _, name = override.key_or_group.partition(".")
        value = None if override.is_delete() or override.is_sweep_override() else override.value()
        if head == "arms" and name and "." not in name and isinstance(value, Mapping):
            arms[name] = {str(key): each for key, each in value.items()}
        elif override.key_or_group == "match":
            own.append(f"compare.{text}")
        else:
            (own if head == "compare" else rest).append(text)
    settings = compose_block("compare", "compare", [*rest, *own])
    settings["arms"] = {**settings["arms"], **arms}
    checked(settings, _TYPES, "compare", complete=True)
    return rest, settings


def typed(value: Any) -> str:
    """A value as an override says it."""
    if value is None:
        return "null"
    if isinstance(value, Mapping):
        return "{" + ",".join(f"{key}:{typed(each)}" for key, each in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ",".join(map(typed, value)) + "]"
    if isinstance(value, str) and not _PLAIN.fullmatch(value):
        escaped = value.replace("\\", "\\\\").replace("'", "\\'")
        return f"'{escaped}'"
    return str(value).lower() if isinstance(value, bool) else str(value)


def _one(name: str, overrides: Sequence[str]) -> Config:
    try:
        runs = compose_runs("map", overrides)
    except ConfigError as error:
        raise ConfigError(f"Arm `{name}`: {error}") from error
    if len(runs) > 1:
        raise ConfigError(f"`arms.{name}` must be one run, got {', '.join(runs)}. Choose one.")
    return next(iter(runs.values()))


def _matched(runs: dict[str, Config], settings: Mapping[str, Any], size: Size) -> dict[str, str]:
    """Make the arms as large as the base, in place; says of each how large it is."""
    said, unit = dict[str, str](), UNITS[settings["match"] or "parameters"]
    target = size(runs[BASE])
    for name, config in runs.items():
        words, n = "", size(config)
        if settings["match"] is not None and name != BASE and n not in (0, target):
            key = _width(name, config, n, settings["setting"], size)
            runs[name], n = _nearest(config, key, target, size)
            words = f", with model.{key} = {runs[name]['model'][key]}"
        off = abs(n / target - 1.0)
        apart = f". Not comparable: {off:.1%} off the base" if off > settings["tolerance"] else ""
        said[name] = f"{n} {unit}{words}{apart}."
    return said


def _apart(config: Config, base: Config) -> Iterator[str]:
    """What makes an arm's boundary another quantity than the base's."""
    one, other = config["optimizer"], base["optimizer"]
    if one["update"].get("_target_") != other["update"].get("_target_"):
        yield "Another optimizer: its weight decay is another quantity than the base's."
    if one.get("decay") != other.get("decay"):
        yield f"What decays: {one.get('decay')}, in the base {other.get('decay')}."
    yield from (f"Another {key} than the base's." for key in _SHARED if config[key] != base[key])


def _check_different(runs: Mapping[str, Config], match: str | None) -> None:
    """Refuse an arm that is another one by another name: the study would hold one run for both."""
    for other, name in combinations(runs, 2):
        if runs[other] == runs[name]:
            once = " once it is as large" if match else ""
            raise ConfigError(
                f"`arms.{name}` must differ from `{other}`: it has its settings{once}."
            )


def _with_width(config: Config, key: str, width: int) -> Config:
    return {**config, "model": {**config["model"], key: width}}


def _width(name: str, config: Config, n: int, setting: str | None, size: Size) -> str:
    """The first width on which the size of a model depends."""
    model = config["model"]
    for key in (setting,) if setting else WIDTHS:
        width = model.get(key)
        if isinstance(width, int) and size(_with_width(config, key, 2 * width)) != n:
            return key
    raise ConfigError(
        f"`compare.setting` must name a width of the model of arm `{name}`: a number on which "
        f"its size depends. It has {sorted(k for k, value in model.items() if type(value) is int)}."
    )


def _nearest(config: Config, key: str, target: int, size: Size) -> tuple[Config, int]:
    """With the width with which the size is nearest to the target, and that size.

    Sizes rise with widths.
    """
    unit = _unit(config, key, size)

    @cache
    def of(n: int) -> int:
        return size(_with_width(config, key, n * unit))

    low, high = 1, 2
    while of(high) < target:
        low, high = high, 2 * high
        if high * unit > _WIDEST:
            raise ConfigError(
                f"`match` finds no `model.{key}` up to {_WIDEST} that is large enough."
            )
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if of(middle) < target else (low, middle)
    n = min(low, high, key=lambda n: abs(of(n) - target))
    return _with_width(config, key, n * unit), of(n)


def _unit(config: Config, key: str, size: Size) -> int:
    """The smallest step of a width: some must be multiples, as of heads or of groups of units."""
    width = config["model"][key]
    for unit in (n for n in range(1, width) if width % n == 0):
        try:
            size(_with_width(config, key, width + unit))
        except ConfigError:
            continue
        return unit
    return width


def _rates(
    runs: Mapping[str, Config], settings: Mapping[str, Any]
) -> tuple[dict[tuple[str, float], Config], list[str]]:
    """Runs of the check of learning rates; and of which arms there is none."""
    made, notes = dict[tuple[str, float], Config](), list[str]()
    factors = settings["lr_factors"] and sorted({1.0, *settings["lr_factors"]})
    for name, config in runs.items() if factors else ():
        sweep, lr = config["sweep"], config["optimizer"].get("lr")
        decays = [d for d in sweep["scientific"].get("weight_decay", ()) if d > 0]
        seeds = list(sweep["nuisance"].get("seed", ()))[: settings["lr_seeds"]]
        if lr is None or "lr" in {**sweep["scientific"], **sweep["nuisance"], **sweep["fixed"]}:
            notes.append(f"{name}: learning rates are not checked: its sweep gives them.")
            continue
        if not decays or not seeds:
            notes.append(f"{name}: learning rates are not checked: no sweep of weight decays.")
            continue
        n = min(settings["lr_decays"], len(decays))
        # away from the ends, where networks do not grok in time, or collapse
        places = np.linspace(0, len(decays) - 1, n + 2).round().astype(int)[1:-1]
        for factor in factors:
            own = [decays[place] / factor for place in dict.fromkeys(places.tolist())]
            scientific = {**sweep["scientific"], "weight_decay": own}
            made[name, factor] = {
                **config,
                "study": f"{config['study']}_lr",
                "optimizer": {**config["optimizer"], "lr": lr * factor},
                "sweep": {
                    **sweep,
                    "scientific": scientific,
                    "nuisance": {"seed": seeds},
                    "extra": [],
                },
                "compare": {
                    "arm": f"{name}, lr = {lr * factor:.3g}",
                    "place": len(made),
                    "about": f"weight decays {', '.join(f'{decay:.3g}' for decay in own)}.",
                },
            }
    return made, notes
