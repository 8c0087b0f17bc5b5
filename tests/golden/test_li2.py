"""The stages of the Li2 network at the published times (arXiv:2509.21519, arXiv:2605.08119).

Published, 15 seeds, M = 71, K = 2048, 2016 train pairs: train accuracy 1 by epoch 25; val accuracy
0.5 at a median of epoch 102 with weight decay 2e-4, never within 400 without; the norm of the
gradient that reaches the hidden layer peaks around epoch 50; all 35 frequencies are owned at the
end. Windows: an earlier reproduction of eight seeds, widened by their spread. The height of the
peak depends on the scale of the loss, its time does not.
"""

import pandas as pd
import pytest

from observatory.launch.compose import compose
from observatory.launch.run import launch
from observatory.store.reader import Run

DECAYS = (0.0, 2e-4)
LOOKS = [*range(0, 150, 5), *range(150, 401, 25)]
"""Steps at which the probe looks: dense where the stages are."""


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A seed of each weight decay, one fleet of two."""
    overrides = [
        *("experiment=li2_2025", "sweep.nuisance.seed=[0]", "fleet.shards=1"),
        f"probe.li2.schedule={{_target_: observatory.core.schedule.At, steps: {LOOKS}}}",
        f"results={tmp_path_factory.mktemp('results')}",
    ]
    return Run(launch(compose("train", overrides)))


def series(run: Run, table: str, column: str) -> dict[float, list[pd.Series]]:
    """The column of every replica, by weight decay, its index the step."""
    replicas = run.replicas().set_index("replica")["weight_decay"]
    found: dict[float, list[pd.Series]] = {decay: [] for decay in DECAYS}
    for replica, rows in run.table(table).groupby("replica"):
        found[float(replicas[replica])].append(rows.set_index("step")[column].dropna())
    assert [len(of) for of in found.values()] == [1, 1]
    return found


def first(values: pd.Series, level: float) -> int | None:
    reached = values.index[values >= level]
    return int(reached[0]) if len(reached) else None


@pytest.mark.slow
def test_train_accuracy_is_there_by_epoch_25(run: Run) -> None:
    for of in series(run, "evaluation", "train_acc").values():
        assert all(first(values, 0.99) <= 25 for values in of)


@pytest.mark.slow
def test_val_accuracy_rises_with_decay_and_never_without(run: Run) -> None:
    accuracy = series(run, "evaluation", "val_acc")
    for values in accuracy[2e-4]:
        assert 80 <= first(values, 0.5) <= 125
        assert first(values, 0.99) <= 160
    for values in accuracy[0.0]:
        assert values.index[-1] == 400
        assert first(values, 0.5) is None


@pytest.mark.slow
def test_the_gradient_at_the_hidden_layer_peaks_when_published(run: Run) -> None:
    for of in series(run, "probes/li2", "gradient_norm").values():
        assert all(45 <= values.idxmax() <= 70 for values in of)


@pytest.mark.slow
def test_all_frequencies_are_owned_at_the_end(run: Run) -> None:
    owned = series(run, "probes/li2", "coverage")
    assert all(values.iloc[-1] == 35 for values in owned[2e-4])
    assert all(values.iloc[-1] == 0 for values in owned[0.0])


@pytest.mark.slow
def test_units_are_independent_until_they_interact(run: Run) -> None:
    """Off-diagonal over diagonal of the hidden Gram matrix: below 0.04 published, 0.08 here."""
    for of in series(run, "probes/li2", "gram_ratio").values():
        assert all((values < 0.08).all() for values in of)
