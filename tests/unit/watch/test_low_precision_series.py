"""A training asked what low precision would do, online and of its checkpoints."""

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from torch import Tensor, nn

import observatory as ob
from observatory.cli.main import run as command_line
from observatory.core.errors import ConfigError
from observatory.core.schedule import Every
from observatory.pipeline import rebuild_report, refit
from observatory.store.reader import Run, Study
from observatory.watch.online.due import FromStepsOn
from tests.composed import composed

NAMES = ("int8_token", "int4_token")
TOKENS = torch.randint(11, (6, 9), generator=torch.Generator().manual_seed(0))
TABLE = "probes/low_precision"


class Tiny(nn.Module):
    """Logits of the next token from the token alone."""

    def __init__(self) -> None:
        super().__init__()
        self.table, self.inner, self.out = (
            nn.Embedding(11, 16),
            nn.Linear(16, 32),
            nn.Linear(32, 11),
        )

    def forward(self, tokens: Tensor) -> Tensor:
        return self.out(torch.relu(self.inner(self.table(tokens))))


def make() -> nn.Module:
    torch.manual_seed(0)
    return Tiny()


def train(folder: Path, decay: float, looks: ob.LowPrecisionLooks | None) -> tuple[Run, list[Any]]:
    """Twelve updates, the run and its losses; weights after the sixth and the last are saved."""
    model, kept = make(), []
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.05, weight_decay=decay)
    watch = ob.Observe(
        folder / "mine", batch=TOKENS, every=2, budget=None, low_precision=looks,
        event="loss <= 2.35", probes=["weight_norm"],
    )  # fmt: skip
    watch.begin(model, {"weight_decay": decay, "seed": 0})
    for n in range(1, 13):
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(model(TOKENS[:, :-1]).mT, TOKENS[:, 1:])
        loss.backward()
        optimizer.step()
        watch.step(n, loss=loss)
        kept.append(loss.item())
        if n % 6 == 0:
            torch.save(model.state_dict(), folder / f"step={n}-{decay}.pt")
    run = watch.end()
    assert run is not None
    return run, kept


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Run, list[Any]]:
    folder = tmp_path_factory.mktemp("low")
    looks = ob.LowPrecisionLooks(every=6, labels="next_token", transforms=NAMES)
    train(folder, 0.3, looks)
    return folder, *train(folder, 0.1, looks)


def test_a_schedule_of_its_own_and_a_number_for_each_transform(
    trained: tuple[Path, Run, list[Any]],
) -> None:
    _, run, _ = trained
    rows = run.table(TABLE)
    assert rows["step"].tolist() == [0, 6, 12]
    assert run.table("probes/weight_norm")["step"].tolist() == [0, 2, 4, 6, 8, 10, 12]
    assert run.manifest["config"]["probe"]["low_precision"]["transforms"] == list(NAMES)
    for column in run.columns(TABLE):
        assert rows[column.name].notna().all(), column.name
    errors = np.stack(rows["output_error_max"].to_list())
    assert errors.shape == (3, 2)
    assert (errors[:, 1] > 4 * errors[:, 0]).all()  # four bits against eight


def test_the_row_is_what_low_precision_finds(trained: tuple[Path, Run, list[Any]]) -> None:
    folder, run, _ = trained
    model = make()
    model.load_state_dict(torch.load(folder / "step=12-0.1.pt"))
    found = ob.low_precision(model, TOKENS, labels="next_token", transforms=list(NAMES)).frame()
    row: pd.Series[Any] = run.table(TABLE).iloc[-1]
    for scope, suffix in (("all", ""), ("without readout", "_without_readout")):
        for place, name in enumerate(NAMES):
            own = found[(found["scope"] == scope) & (found["transform"] == name)].iloc[0]
            for column, kept in (
                ("loss_change", "loss_change"),
                ("se", "loss_change_se"),
                ("noise_change", "noise_change"),
                ("noise_se", "noise_change_se"),
            ):
                assert row[f"{kept}{suffix}"][place] == own[column], (kept, suffix, name)
            if not suffix:
                for column in ("output_error_max", "output_error_median"):
                    assert row[column][place] == own[column]


def test_the_training_is_not_changed_by_a_bit(
    trained: tuple[Path, Run, list[Any]], tmp_path: Path
) -> None:
    assert train(tmp_path, 0.1, None)[1] == trained[2]


def test_checkpoints_give_the_same_bits(
    trained: tuple[Path, Run, list[Any]], capsys: pytest.CaptureFixture[str]
) -> None:
    folder, run, _ = trained
    (folder / "own.py").write_text(
        "from tests.unit.watch.test_low_precision_series import TOKENS, make\n"
    )
    command = [
        *("probe", f"{folder}/own.py:make", "--batch", f"{folder}/own.py:TOKENS"),
        *("--checkpoints", f"{folder}/*-0.1.pt", "--out", str(folder / "probed")),
        *("--low-precision", ",".join(NAMES), "--labels", "next_token"),
    ]
    assert command_line(command) == 0
    capsys.readouterr()
    (probed,) = Study(folder / "probed").runs
    online = run.arrow(TABLE).slice(1).drop_columns("run_id")
    assert probed.arrow(TABLE).drop_columns("run_id").equals(online)


def test_its_page_shows_the_damage_against_steps(trained: tuple[Path, Run, list[Any]]) -> None:
    folder, _, _ = trained
    settings = composed("map")["fit"]
    refit(folder / "mine", {"study": settings["study"]})
    page = rebuild_report(folder / "mine").read_text()
    assert "What low precision would do" in page
    assert "change of loss (nats), int4_token" in page
    assert "looks are dots, joined faintly" in page
    assert "A dot marks" not in page  # a dot is a look here


def test_a_resume_of_a_loop_that_looks_late_gives_the_same_bits(tmp_path: Path) -> None:
    """Steps said every third update: what was due at 5 was measured at 6, and is not due at 9."""
    series = []
    for folder, stops in (("whole", ()), ("stopped", (6, 9))):
        model, state = make(), {"step": 0}
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        for first, last in itertools.pairwise((0, *stops, 18)):
            watch = ob.Observe(
                tmp_path / folder, batch=TOKENS, every=4, budget=None, probes=["weight_norm"],
                low_precision=ob.LowPrecisionLooks(every=5, transforms=NAMES),
            )  # fmt: skip
            watch.load_state_dict(state)
            watch.begin(model)
            for n in range(first + 3, last + 1, 3):
                optimizer.zero_grad()
                model(TOKENS).square().mean().backward()
                optimizer.step()
                watch.step(n)
            state = watch.state_dict()
            watch.pause()
        (run,) = Study(tmp_path / folder).runs
        series.append(run.arrow(TABLE))
    assert series[0]["step"].to_pylist() == [0, 6, 12, 18]
    assert series[1].equals(series[0])


def test_a_stop_neither_adds_nor_drops_a_measurement() -> None:
    at = FromStepsOn(Every(6), Every(2))
    whole = [n for n in range(0, 31, 2) if at.now(n)]
    assert whole == [0, 6, 12, 18, 24, 30]
    for stop in range(1, 30):
        at.begin(stop)
        later = [n for n in range(0, 31, 2) if n > stop and at.now(n)]
        assert later == [n for n in whole if n > stop], stop


def test_unknown_transforms_and_labels_alone_are_refused(
    trained: tuple[Path, Run, list[Any]], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(ConfigError, match="must be among"):
        ob.LowPrecisionLooks(every=6, transforms=("int5",))
    folder = trained[0]
    command = ["probe", "own:make", "--batch", "b.pt", "--checkpoints", f"{folder}/*-0.1.pt"]
    assert command_line([*command, "--labels", "next_token"]) == 2
    assert "`--labels` must come with `--low-precision`" in capsys.readouterr().err
