"""The mechanism of a page: silent without its probes, and with them what was recorded."""

import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml
from matplotlib.axes import Axes

from observatory.analysis.fit.study import fit_group
from observatory.analysis.page.drawing import Drawing
from observatory.analysis.page.facts import Facts, gather
from observatory.analysis.page.groups import Group, groups
from observatory.analysis.training import attribution
from observatory.analysis.training.mechanism import draw_mechanism, draw_spectrum
from observatory.analysis.training.mechanism_panels import MECHANISM
from observatory.core.contracts import Probe
from observatory.store.files import write_json
from observatory.store.reader import Study
from observatory.store.table import TableWriter
from tests.composed import composed
from tests.unit.analysis.report.fabricate import Plan, fabricate_study

SMALL = Plan(study="small", weight_decays=(0.3, 1.0), n_seeds=2, horizon=1500,
             probes=("weight_norm",))  # fmt: skip
LOOKS = (0, 1, 10, 100, 1000)


def probe_of(name: str) -> type[Probe]:
    """The class that the configuration of a probe names."""
    settings = yaml.safe_load(Path(f"conf/probe/{name}.yaml").read_text())
    module, _, kind = settings[name]["probe"]["_target_"].rpartition(".")
    return getattr(import_module(module), kind)


@pytest.fixture(scope="module")
def facts(tmp_path_factory: pytest.TempPathFactory) -> Facts:
    [group] = groups(Study(fabricate_study(tmp_path_factory.mktemp("results"), SMALL)))
    return gather(group, fit_group(group, [], {"study": composed("map")["fit"]["study"]}))


@pytest.fixture(autouse=True)
def forget(facts: Facts) -> Iterator[None]:
    """Leave no table of kept states to the next test."""
    yield
    [run] = facts.group.runs
    shutil.rmtree(run.folder.parents[1] / "reprobed", ignore_errors=True)


def test_nothing_is_drawn_where_nothing_was_recorded(facts: Facts) -> None:
    assert draw_mechanism(facts) == []


def plant(facts: Facts, monkeypatch: pytest.MonkeyPatch) -> None:
    """Tables of two probes, the same of all replicas, in place of what was recorded."""
    rows = facts.group.replicas
    base = pd.DataFrame(
        [
            {"run_id": run, "replica": replica, "step": step, "place": place}
            for run, replica in zip(rows["run_id"], rows["replica"], strict=True)
            for place, step in enumerate(LOOKS)
        ]
    )
    shares = [[1 - p / 10, p / 10, *[0.0] * 9] for p in base["place"]]
    planted: dict[str, dict[str, Any]] = {
        "probes/group_structure": {
            "logit_share": shares,
            "key_count": 5.0 - base["place"],
            "explained": base["place"] / 10,
        },
        "probes/references": {"final_nn_acc": base["place"] / 10},
    }
    monkeypatch.setattr(Group, "columns", lambda self, name: set(planted.get(name, {})))

    def table(self: Group, name: str, names: list[str]) -> pd.DataFrame | None:
        known = planted.get(name, {})
        return base.assign(**{n: known[n] for n in names}) if set(names) <= set(known) else None

    monkeypatch.setattr(Group, "table", table)


def test_a_map_per_weight_decay_and_the_panels_that_were_recorded(
    facts: Facts, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plant(facts, monkeypatch)
    made = {item.name: item for item in draw_mechanism(facts) if isinstance(item, Drawing)}
    assert list(made) == ["mechanism-spectrum", "mechanism-circuit", "mechanism-references"]
    made["mechanism-spectrum"].figure.savefig(tmp_path / "map.svg")
    assert (tmp_path / "map.svg").read_text().count('id="spectrum"') == 2  # two weight decays
    ticks = made["mechanism-spectrum"].figure.axes[0].get_yticks()
    assert all(tick == round(tick) for tick in ticks), "an irrep has a whole number"
    titles = [axes.get_title("left") for axes in made["mechanism-circuit"].figure.axes]
    assert [title for title in titles if title] == ["key irreps", "share explained by the answer"]


@pytest.mark.parametrize(
    ("had", "replicas"),
    [
        ({1.0: [False, True]}, [(0.3, 0), (1.0, 3)]),
        ({0.3: [False, True]}, [(0.3, 1)]),  # the control had the event itself
        ({}, [(0.3, 0), (1.0, 2)]),
    ],
)
def test_a_map_is_of_the_first_with_the_event_beside_the_smallest_weight_decay(
    facts: Facts,
    monkeypatch: pytest.MonkeyPatch,
    had: dict[float, list[bool]],
    replicas: list[tuple[float, int]],
) -> None:
    plant(facts, monkeypatch)
    decays = facts.times["weight_decay"].tolist()
    place = [index % 2 for index in range(len(decays))]
    assert decays == [0.3, 0.3, 1.0, 1.0]
    ends = ["grokked" if had.get(decay, [False, False])[at] else "memorised"
            for decay, at in zip(decays, place, strict=True)]  # fmt: skip
    drawing = draw_spectrum(replace(facts, times=facts.times.assign(end=ends)))
    assert drawing is not None
    titles = [title for axes in drawing.figure.axes if (title := axes.get_title("left"))]
    assert titles == [f"weight decay {decay:g}, replica {number}" for decay, number in replicas]


def test_every_column_that_is_drawn_is_one_of_its_probe() -> None:
    for shown in MECHANISM:
        for panel in shown.panels:
            if panel.probe == "evaluation":
                continue
            assert panel.column in {column.name for column in probe_of(panel.probe).columns}


def test_the_figure_of_attribution_has_the_methods_and_sites_of_its_probe() -> None:
    from observatory.maths.attribution.scores import METHODS
    from observatory.probes.attribution import KINDS

    assert (tuple(attribution.METHODS), set(attribution.SITES)) == (METHODS, set(KINDS))


def keep(facts: Facts, probe: str, since: int | None, **values: Callable[[int], Any]) -> None:
    """Write a table of kept states, at two steps of every replica, other columns null."""
    [run] = facts.group.runs
    replicas, folder = run.replicas()["replica"].tolist(), run.folder.parents[1] / "reprobed"
    columns = probe_of(probe).columns
    (folder / run.run_id).mkdir(parents=True, exist_ok=True)
    writer = TableWriter(folder / run.run_id / probe, run.run_id, columns, 0)
    for place, step in enumerate((10, 1000)):
        row = {c.name: np.array([values[c.name](step)] * len(replicas)) if c.name in values else
               None for c in columns}  # fmt: skip
        writer.append(replicas, [step] * len(replicas), row)
        writer.flush(place + 1)
    about = {"columns": [c.to_json() for c in columns], "matrices": [], "since": since}
    write_json(folder / run.run_id / f"{probe}.json", about)


def median_of(axes: Axes) -> list[float]:
    """The heights of the first curve of a panel."""
    line = next(line for line in axes.get_lines() if line.get_gid() == "median")
    return np.asarray(line.get_ydata(), dtype=float).tolist()


def test_what_was_looked_at_again_is_drawn_and_said(facts: Facts) -> None:
    keep(facts, "commutator", None, commutator=float)
    keep(facts, "segment", 10, train_barrier=lambda step: step / 2000)
    keep(facts, "kernel_drift", 10, drift=lambda step: step / 2000)
    keep(facts, "attribution", None, pearson_embedding=lambda step: [0.9, step / 2000, 0.8],
         pearson_pre=lambda step: [0.1, 0.2, step / 4000])  # fmt: skip
    made = {item.name: item for item in draw_mechanism(facts) if isinstance(item, Drawing)}
    assert list(made) == ["mechanism-curvature", "mechanism-kept", "mechanism-attribution"]
    said = "at kept states: kernel_drift (--since 10). --since: the step that takes the place of"
    assert said in made["mechanism-curvature"].caption
    said = "at kept states: commutator, segment (--since 10). --since: the step"
    assert said in made["mechanism-kept"].caption
    assert median_of(made["mechanism-kept"].figure.axes[0]) == pytest.approx([10, 1000])
    grid = np.reshape(np.array(made["mechanism-attribution"].figure.axes), (3, 2))
    assert [axes.get_title("left") for axes in grid[0]] == ["embedding", "units, before"]
    assert median_of(grid[1, 0]) == pytest.approx([0.005, 0.5])
    assert median_of(grid[2, 1]) == pytest.approx([0.0025, 0.25])


def titles_of(drawing: Drawing) -> list[str]:
    """What stands above the panels that are drawn."""
    return [title for axes in drawing.figure.axes if (title := axes.get_title("left"))]


def test_key_irreps_of_a_later_state_are_drawn_beside_the_val_loss(facts: Facts) -> None:
    keep(facts, "progress_oracle", 1000, restricted_loss=lambda step: 30 / step,
         excluded_loss=lambda step: step / 100, margin_rest=float)  # fmt: skip
    [made] = draw_mechanism(facts)
    assert isinstance(made, Drawing)
    assert made.name == "mechanism-oracle"
    assert "at kept states: progress_oracle (--since 1000). --since: the step" in made.caption
    assert titles_of(made) == [
        "restricted loss (nats)", "excluded loss (nats)", "val loss (nats)",
        "margin of the rest (nats)",
    ]  # fmt: skip
    assert median_of(made.figure.axes[0]) == pytest.approx([3.0, 0.03])
    assert median_of(made.figure.axes[1]) == pytest.approx([0.1, 10.0])
    assert len(median_of(made.figure.axes[2])) > 2  # as often as the training was evaluated


def test_clock_or_pizza_and_the_surrogate_kernel_have_a_figure_each(facts: Facts) -> None:
    keep(facts, "algorithm_family", None, gradient_symmetricity=lambda step: step / 1000 - 0.5,
         right_share=lambda step: step / 1250)  # fmt: skip
    keep(facts, "surrogate_kernel", None, drift=lambda step: step / 2000,
         antisymmetric_share=lambda step: 1 / step,
         surrogate_cosine=lambda step: 1 - 1 / step)  # fmt: skip
    made = {item.name: item for item in draw_mechanism(facts) if isinstance(item, Drawing)}
    family, kernel = made["mechanism-algorithm"], made["mechanism-surrogate"]
    assert list(made) == ["mechanism-algorithm", "mechanism-surrogate"]
    assert titles_of(family) == ["gradient symmetricity", "share of logits at (k, k)"]
    assert median_of(family.figure.axes[0]) == pytest.approx([-0.49, 0.5])
    assert median_of(family.figure.axes[1]) == pytest.approx([0.008, 0.8])
    assert titles_of(kernel) == [
        "drift of the kernel", "antisymmetric share", "cosine with symmetric kernel"
    ]  # fmt: skip
    assert median_of(kernel.figure.axes[1]) == pytest.approx([0.1, 0.001])
    assert "at kept states: surrogate_kernel." in kernel.caption
