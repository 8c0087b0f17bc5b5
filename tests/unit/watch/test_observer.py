"""One training of the user's own as a run of a study: looks, metrics, events, budget, resume."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from observatory.core.contracts import Masked
from observatory.core.errors import ConfigError, StoreError
from observatory.core.schedule import At, Every, LogSpaced
from observatory.store.reader import Run, Study
from observatory.watch.instrument import probe
from observatory.watch.online import budget
from observatory.watch.online.observer import Observe
from tests import looks
from tests.looks import stand_in  # noqa: F401

pytestmark = pytest.mark.usefixtures("stand_in")
BATCH = torch.linspace(-1, 1, 12).reshape(2, 6)


class Training:
    """A loop with dropout, whose state can be kept."""

    def __init__(self) -> None:
        torch.manual_seed(3)
        self.model = nn.Sequential(nn.Linear(6, 8), nn.Dropout(0.3), nn.Linear(8, 1))
        self.optimizer = torch.optim.AdamW(self.model.parameters(), lr=0.05)
        self.done = 0

    def run(self, steps: int, watch: Observe | None) -> list[float]:
        losses = []
        for n in range(self.done + 1, self.done + steps + 1):
            self.optimizer.zero_grad()
            loss = (self.model(torch.randn(4, 6)) ** 2).mean()
            loss.backward()
            self.optimizer.step()
            losses.append(loss.item())
            if watch is not None:
                watch.step(n, train_loss=loss.item(), **({"val_acc": n / 40} if n % 5 == 0 else {}))
        self.done += steps
        return losses

    def state(self) -> dict[str, Any]:
        kept = [self.model.state_dict(), self.optimizer.state_dict(), torch.get_rng_state()]
        return {"kept": kept, "done": self.done}

    def restore(self, state: dict[str, Any]) -> None:
        model, optimizer, rng = state["kept"]
        self.model.load_state_dict(model)
        self.optimizer.load_state_dict(optimizer)
        torch.set_rng_state(rng)
        self.done = state["done"]


def observe(folder: Path, **options: Any) -> Observe:
    given = {"batch": BATCH, "every": Every(4), "budget": None, "event": "val_acc >= 0.5"}
    return Observe(folder, **{**given, **options})


def test_a_training_is_a_run_with_looks_metrics_and_the_event(tmp_path: Path) -> None:
    watch, training = observe(tmp_path / "mine"), Training()
    settings = {"weight_decay": 0.1, "seed": 3, "width": 8, "kind": "plain"}
    watch.begin(training.model, settings, horizon_steps=40)
    losses = training.run(40, watch)
    run = watch.end()
    assert run is not None
    study = Study(tmp_path / "mine")
    assert [r.run_id for r in study.runs] == [run.run_id]
    assert (run.status, run.manifest["kind"], run.manifest["horizon_steps"]) == (
        "done",
        "observed",
        40,
    )
    assert list(run.table("probes/stand_in")["step"]) == list(range(0, 41, 4))
    metrics = run.table("evaluation")
    assert list(metrics["step"]) == list(range(1, 41))
    assert list(metrics["train_loss"]) == losses
    assert metrics["val_acc"].notna().sum() == 8
    row = study.replicas().iloc[0]
    assert (row["weight_decay"], row["seed"], row["width"], row["step"]) == (0.1, 3, 8, 40)
    assert np.isnan(row["lr"])
    assert (row["outcome"], row["reached_lo"], row["reached_hi"]) == ("reached", 15, 20)
    assert run.manifest["config"]["settings"] == {"kind": "plain"}
    assert torch.equal(torch.load(run.folder / "probe_batch.pt", weights_only=True), BATCH)
    assert not run.lost()


def test_nothing_of_the_training_changes(tmp_path: Path) -> None:
    alone = Training()
    losses = alone.run(20, None)
    watch, watched = observe(tmp_path), Training()
    watch.begin(watched.model)
    assert watched.run(20, watch) == losses
    watch.end()
    for a, b in zip(alone.model.parameters(), watched.model.parameters(), strict=True):
        assert torch.equal(a, b)


def test_a_resume_goes_on_with_one_series(tmp_path: Path) -> None:
    whole, once = observe(tmp_path / "once"), Training()
    whole.begin(once.model, {"seed": 1})
    once.run(30, whole)
    expected = whole.end()
    first, training = observe(tmp_path / "twice"), Training()
    first.begin(training.model, {"seed": 1})
    training.run(12, first)
    kept, said = training.state(), first.state_dict()
    kept = {**kept, "kept": [*map(_copied, kept["kept"])]}
    training.run(9, first)
    first.pause()  # written beyond the checkpoint
    assert Study(tmp_path / "twice").runs[0].status == "interrupted"
    second, again = observe(tmp_path / "twice"), Training()
    again.restore(kept)
    second.load_state_dict(said)
    second.begin(again.model, {"seed": 1})
    again.run(18, second)
    run = second.end()
    assert run is not None
    assert expected is not None
    for table in ("evaluation", "probes/stand_in", "outcomes"):
        assert run.arrow(table).equals(expected.arrow(table)), table
    assert list(run.table("events")["kind"]) == ["started", "resumed"]
    assert not run.lost()


def _copied(value: Any) -> Any:
    return (
        {k: _copied(v) for k, v in value.items()}
        if isinstance(value, dict)
        else (value.clone() if isinstance(value, torch.Tensor) else value)
    )


def test_another_batch_on_a_resume_is_refused_and_the_folder_is_free_again(tmp_path: Path) -> None:
    watch = observe(tmp_path)
    watch.begin(Training().model)
    watch.step(4)
    watch.end()
    other = observe(tmp_path, batch=BATCH + 1)
    with pytest.raises(StoreError, match=r"another `batch`.*probe_batch.pt"):
        other.begin(Training().model, step=4)
    with pytest.raises(StoreError, match="was begun with the events"):
        observe(tmp_path, event="val_acc >= 0.6").begin(Training().model, step=4)
    again = observe(tmp_path)
    again.begin(Training().model, step=4)
    again.end()


def test_a_training_that_ended_is_not_begun_again(tmp_path: Path) -> None:
    for seed in (1, 2):
        watch = observe(tmp_path)
        watch.begin(Training().model, {"seed": seed})
        watch.end()
    assert len(Study(tmp_path).runs) == 2
    with pytest.raises(StoreError, match=r"has ended.*seed"):
        observe(tmp_path).begin(Training().model, {"seed": 2})


def test_an_unfinished_training_may_begin_anew_and_leaves_nothing_behind(tmp_path: Path) -> None:
    watch, training = observe(tmp_path), Training()
    watch.begin(training.model)
    training.run(9, watch)
    watch.state_dict()
    again = observe(tmp_path, batch=BATCH + 1)
    again.begin(Training().model)
    with pytest.raises(StoreError, match="must differ between trainings"):
        watch.end()
    again.step(2, val_acc=0.1)
    run = again.end()
    assert run is not None
    assert list(run.table("evaluation")["step"]) == [2]
    assert list(run.table("probes/stand_in")["step"]) == [0]


def test_a_budget_leaves_looks_out_and_records_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = [0.0]
    monkeypatch.setattr(budget.time, "perf_counter", lambda: clock[0])
    plain = looks.Instrument.look

    def slow(self: looks.Instrument, probes: Any) -> Any:
        clock[0] += 1.0
        return plain(self, probes)

    monkeypatch.setattr(looks.Instrument, "look", slow)
    watch = observe(tmp_path, every=1, budget=0.1)
    watch.begin(Training().model)
    for n in range(1, 61):
        clock[0] += 1.0
        watch.step(n)
    run = watch.end()
    assert run is not None
    assert list(run.table("probes/stand_in")["step"]) == [0, 19, 28, 37, 46, 55]
    thinned = run.table("events").query("kind == 'thinned'")
    assert list(thinned["step"]) == [18, 27, 36, 45, 54, 60]
    assert '"looks_left_out": 18, "first_step": 1, "budget": 0.1' in thinned["detail"].iloc[0]


def test_metrics_may_come_late_from_several_calls_and_under_any_name(tmp_path: Path) -> None:
    watch = observe(tmp_path, every=At((0, 3)))
    watch.begin(Training().model)
    watch.step(1, loss=1.0)
    watch.state_dict()
    watch.step(2, **{"eval/f1-score": torch.tensor(0.5)})
    watch.step(2, loss=np.float32(0.25))
    watch.step(3)
    run = watch.end()
    assert run is not None
    rows = run.table("evaluation")
    assert list(rows["step"]) == [1, 2]
    assert rows["loss"].tolist() == [1.0, 0.25]
    assert rows["eval_f1_score"].isna().tolist() == [True, False]


def test_a_loss_that_is_not_finite_is_divergence(tmp_path: Path) -> None:
    watch = observe(tmp_path)
    watch.begin(Training().model)
    watch.step(1, loss=1.0)
    watch.step(2, loss=float("nan"), val_acc=0.9)
    run = watch.end()
    assert run is not None
    assert run.outcomes().loc[0, ["outcome", "diverged_step"]].tolist() == ["diverged", 2]


def test_scalars_go_into_the_users_own_logger(tmp_path: Path) -> None:
    logged: dict[int, dict[str, float]] = {}
    watch = observe(tmp_path, every=2, log=lambda scalars, step: logged.update({step: scalars}))
    watch.begin(Training().model)
    for n in range(1, 5):
        watch.step(n)
    watch.end()
    assert list(logged) == [0, 2, 4]
    assert list(logged[2]) == ["observatory/stand_in/mean"]


def test_a_step_that_does_not_look_reads_no_tensor_of_a_device(tmp_path: Path) -> None:
    watch = observe(tmp_path, every=At((0, 2)))
    watch.begin(Training().model)
    on_device = torch.zeros((), device="meta")  # reading it is an error
    watch.step(1, loss=on_device)
    with pytest.raises(RuntimeError, match="meta"):
        watch.step(2, loss=on_device)
    watch.end()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"budget": 5.0}, r"`budget` must be in \(0, 1\], got 5.0"),
        ({"event": "val_acc > 0.9"}, "`event` must be a metric, >= or <="),
        ({"event": {"a b": "x >= 1"}}, "names of letters"),
        ({"batch": object()}, "`batch` must hold tensors"),
        ({"every": 0}, "`k` must be at least 1"),
    ],
)
def test_what_breaks_a_rule_is_refused(tmp_path: Path, options: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        observe(tmp_path, **options)


def test_steps_never_fall_and_settings_are_plain(tmp_path: Path) -> None:
    watch = observe(tmp_path)
    with pytest.raises(ConfigError, match="plain values"):
        watch.begin(Training().model, {"optimizer": object()})
    watch.begin(Training().model)
    watch.step(3)
    with pytest.raises(ConfigError, match="must not fall, got 2 after 3"):
        watch.step(2)
    with pytest.raises(ConfigError, match="must be a number, got str"):
        watch.step(3, loss="low")
    with pytest.raises(ConfigError, match="called once"):
        watch.begin(Training().model)
    watch.end()


def test_schedules_of_the_fleet_are_taken(tmp_path: Path) -> None:
    watch = observe(tmp_path, every=LogSpaced(3))
    watch.begin(Training().model)
    for n in range(1, 12):
        watch.step(n)
    run = watch.end()
    assert run is not None
    assert list(run.table("probes/stand_in")["step"]) == [0, 1, 2, 5, 10]
    assert isinstance(run, Run)


@pytest.mark.slow
def test_a_transformer_is_watched_with_the_probes_of_one_look(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.undo()
    torch.manual_seed(0)
    layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)
    model = nn.TransformerEncoder(layer, 2)
    batch = torch.randn(3, 5, 8)
    watch = Observe(tmp_path, batch=batch, every=2, budget=None)
    watch.begin(model)
    for n in range(1, 5):
        watch.step(n)
    run = watch.end()
    assert run is not None
    assert list(run.table("probes/attention")["step"]) == [0, 2, 4]
    assert len(run.manifest["matrices"]) == len(run.table("probes/weight_spectrum").iloc[0, 3])
    once = probe(model, batch).tables["attention"].values["s_bar"]
    assert isinstance(once, Masked)
    assert np.array_equal(run.table("probes/attention")["s_bar"].iloc[0], once.values[0].numpy())


def watched_encoder(tmp_path: Path, **options: Any) -> tuple[nn.Module, Observe]:
    torch.manual_seed(0)
    model = nn.TransformerEncoder(nn.TransformerEncoderLayer(8, 2, 16, batch_first=True), 2)
    return model, Observe(tmp_path, batch=torch.randn(3, 5, 8), every=2, budget=None, **options)


@pytest.mark.slow
def test_spectra_have_a_schedule_of_their_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.undo()
    model, watch = watched_encoder(tmp_path, spectra=At((3, 7)))
    watch.begin(model)
    for n in range(1, 11):
        watch.step(n)
    run = watch.end()
    assert run is not None
    assert list(run.table("probes/attention")["step"]) == [0, 2, 4, 6, 8, 10]
    assert list(run.table("probes/weight_spectrum")["step"]) == [0, 4, 8]
    assert list(run.table("probes/lar")["step"]) == [0, 4, 8]


def test_a_resume_measures_no_spectra_before_they_are_due(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.undo()
    model, watch = watched_encoder(tmp_path, spectra=Every(8))
    watch.begin(model)
    for n in range(1, 5):
        watch.step(n)
    state = watch.state_dict()
    watch.pause()
    model, watch = watched_encoder(tmp_path, spectra=Every(8))
    watch.load_state_dict(state)
    watch.begin(model)
    for n in range(5, 11):
        watch.step(n)
    run = watch.end()
    assert run is not None
    assert list(run.table("probes/attention")["step"]) == [0, 2, 4, 6, 8, 10]
    assert list(run.table("probes/weight_spectrum")["step"]) == [0, 8]


def test_gradients_are_those_before_clipping_and_updates_those_of_the_step(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.undo()
    model, watch = watched_encoder(tmp_path)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.5)
    watch.begin(model)
    norms: dict[int, float] = {}
    for n in range(1, 5):
        optimizer.zero_grad()
        model(torch.randn(3, 5, 8)).square().sum().backward()
        watch.gradients()
        norms[n] = float(nn.utils.clip_grad_norm_(model.parameters(), 1e-3))
        optimizer.step()
        watch.step(n)
    run = watch.end()
    assert run is not None
    table = run.table("probes/updates")
    assert list(table["step"]) == [2, 4]
    assert table["grad_l2"].to_list() == pytest.approx([norms[2], norms[4]], rel=1e-5)
    assert table["update_l2"].to_list() == pytest.approx([0.5e-3] * 2, rel=1e-3)
    groups = np.stack(table["update_l2_group"].to_list())
    assert groups.shape == (2, len(run.manifest["groups"]))
    assert np.sqrt((groups**2).sum(axis=1)) == pytest.approx(table["update_l2"].to_numpy())
