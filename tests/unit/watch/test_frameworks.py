"""The trainers of others: watched, resumed, and not changed by a bit."""

from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import pytest
import torch
from lightning.fabric import Fabric
from lightning.pytorch.callbacks import ModelCheckpoint
from lightning.pytorch.loggers import CSVLogger
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

from observatory.store.reader import Run, Study
from observatory.watch.online.observer import Observe
from tests.looks import stand_in  # noqa: F401

pytestmark = [pytest.mark.usefixtures("stand_in"), pytest.mark.filterwarnings("ignore")]
X = torch.randn(32, 6, generator=torch.Generator().manual_seed(0))
Y = X.sum(1, keepdim=True)


def observe(folder: Path, **options: Any) -> Observe:
    given = {"batch": X[:2], "every": 2, "budget": None, "event": "val_loss <= 1000"}
    return Observe(folder, **{**given, **options})


def network() -> nn.Module:
    return nn.Sequential(nn.Linear(6, 8), nn.Dropout(0.3), nn.Linear(8, 1))


class Module(pl.LightningModule):
    def __init__(self, width: int = 8) -> None:
        super().__init__()
        self.save_hyperparameters()
        self.net = network()

    def forward(self, x: Tensor) -> Tensor:
        return self.net(x)

    def training_step(self, batch: Any, index: int) -> Tensor:
        loss = ((self(batch[0]) - batch[1]) ** 2).mean()
        self.log("train_loss", loss)
        return loss

    def validation_step(self, batch: Any, index: int) -> None:
        self.log("val_loss", ((self(batch[0]) - batch[1]) ** 2).mean())

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.AdamW(self.parameters(), lr=0.01, weight_decay=0.1)


def lightning(
    folder: Path, watch: Observe | None, *, epochs: int = 5, resume: str | None = None
) -> Module:
    pl.seed_everything(1, verbose=False)
    module = Module()
    callbacks: list[Any] = [ModelCheckpoint(folder / "ckpt", save_top_k=-1, every_n_epochs=1)]
    trainer = pl.Trainer(
        max_epochs=epochs, accumulate_grad_batches=2, accelerator="cpu", logger=CSVLogger(folder),
        callbacks=callbacks if watch is None else [*callbacks, watch.lightning({"seed": 1})],
        enable_progress_bar=False, enable_model_summary=False, log_every_n_steps=1,
    )  # fmt: skip
    data = DataLoader(TensorDataset(X, Y), batch_size=4)
    trainer.fit(module, data, data, ckpt_path=resume)
    return module


def assert_same_weights(a: nn.Module, b: nn.Module) -> None:
    for x, y in zip(a.state_dict().values(), b.state_dict().values(), strict=True):
        assert torch.equal(x, y)


def only_run(folder: Path) -> Run:
    (run,) = Study(folder).runs
    return run


@pytest.mark.slow
def test_lightning_with_accumulation_is_watched_and_not_changed(tmp_path: Path) -> None:
    alone = lightning(tmp_path / "alone", None)
    watched = lightning(tmp_path / "watched", observe(tmp_path / "study"))
    assert_same_weights(alone, watched)
    run = only_run(tmp_path / "study")
    assert list(run.table("probes/stand_in")["step"]) == list(range(0, 21, 2))
    row = run.outcomes().iloc[0]
    settings = row[["weight_decay", "lr", "seed", "width", "step"]].tolist()
    assert settings == [0.1, 0.01, 1, 8, 20]
    assert (row["outcome"], run.manifest["horizon_steps"]) == ("reached", 20)
    assert run.manifest["steps_per_epoch"] == 4
    kept = run.table("evaluation")
    assert list(kept.loc[kept["val_loss"].notna(), "step"]) == [4, 8, 12, 16, 20]
    assert list(kept.loc[kept["train_loss"].notna(), "step"]) == list(range(2, 21, 2))
    logged = next((tmp_path / "watched").rglob("metrics.csv")).read_text()
    assert "observatory/stand_in/mean" in logged


@pytest.mark.slow
def test_lightning_resumes_one_series(tmp_path: Path) -> None:
    whole = lightning(tmp_path / "a", observe(tmp_path / "once"))
    lightning(tmp_path / "b", observe(tmp_path / "twice"), epochs=3)
    checkpoint = next((tmp_path / "b" / "ckpt").glob("epoch=1-*"))
    again = lightning(tmp_path / "c", observe(tmp_path / "twice"), resume=str(checkpoint))
    assert not torch.equal(whole.net[0].weight, again.net[0].weight)  # dropout draws anew
    once, twice = only_run(tmp_path / "once"), only_run(tmp_path / "twice")
    for table in ("probes/stand_in", "evaluation"):
        assert list(twice.table(table)["step"]) == list(once.table(table)["step"]), table
    assert twice.status == "done"
    assert list(twice.table("events")["kind"]) == ["started", "resumed"]


def huggingface(folder: Path, watch: Observe | None, *, resume: str | None = None) -> nn.Module:
    transformers = pytest.importorskip("transformers")

    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.net = network()

        def forward(self, x: Tensor, labels: Tensor | None = None) -> dict[str, Tensor]:
            out = self.net(x)
            return {"logits": out} if labels is None else {"loss": ((out - labels) ** 2).mean()}

    transformers.set_seed(2)
    rows = [{"x": x, "labels": y} for x, y in zip(X, Y, strict=True)]
    arguments = transformers.TrainingArguments(
        str(folder), max_steps=20, per_device_train_batch_size=4, gradient_accumulation_steps=2,
        logging_steps=5, eval_strategy="steps", eval_steps=5, save_steps=10, report_to="none",
        use_cpu=True, learning_rate=0.01, weight_decay=0.1, seed=2, disable_tqdm=True,
    )  # fmt: skip
    trainer = transformers.Trainer(
        Net(),
        arguments,
        train_dataset=rows,
        eval_dataset=[{**rows[0], "labels": rows[0]["labels"]}],
    )
    trainer.remove_callback(transformers.PrinterCallback)
    if watch is not None:
        watch.attach(trainer)
    trainer.train(resume_from_checkpoint=resume)
    if watch is not None:
        ours = [row for row in trainer.state.log_history if "observatory/stand_in/mean" in row]
        assert {row["step"] for row in ours} >= set(range(10 if resume is None else 12, 21, 2))
    return trainer.model


@pytest.mark.slow
def test_a_trainer_of_hugging_face_is_watched_resumed_and_not_changed(tmp_path: Path) -> None:
    batch = {"x": X[:2]}
    alone = huggingface(tmp_path / "alone", None)
    watched = huggingface(
        tmp_path / "watched", observe(tmp_path / "once", batch=batch, event="eval_loss <= 1000")
    )
    assert_same_weights(alone, watched)
    once = only_run(tmp_path / "once")
    assert list(once.table("probes/stand_in")["step"]) == list(range(0, 21, 2))
    metrics = once.table("evaluation")
    assert list(metrics["step"]) == [5, 10, 15, 20]
    assert metrics[["loss", "eval_loss", "grad_norm"]].notna().to_numpy().all()
    row = once.outcomes().iloc[0]
    assert row[["weight_decay", "lr", "seed", "step", "reached_hi"]].tolist() == [
        *(0.1, 0.01, 2, 20, 5)
    ]
    checkpoint = str(tmp_path / "watched" / "checkpoint-10")
    again = huggingface(
        tmp_path / "again",
        observe(tmp_path / "once", batch=batch, event="eval_loss <= 1000"),
        resume=checkpoint,
    )
    assert_same_weights(alone, again)
    twice = only_run(tmp_path / "once")
    assert twice.arrow("probes/stand_in").equals(once.arrow("probes/stand_in"))


def test_accelerate_is_watched_in_a_plain_loop_and_not_changed(tmp_path: Path) -> None:
    accelerate = pytest.importorskip("accelerate")

    def run(watch: Observe | None) -> nn.Module:
        torch.manual_seed(4)
        accelerator = accelerate.Accelerator(cpu=True)
        model = network()
        optimizer = torch.optim.AdamW(model.parameters(), lr=0.01)
        loader = DataLoader(TensorDataset(X, Y), batch_size=4, shuffle=True)
        model, optimizer, loader = accelerator.prepare(model, optimizer, loader)
        if watch is not None:
            watch.begin(model, {"seed": 4})
        step = 0
        for _ in range(3):
            for x, y in loader:
                optimizer.zero_grad()
                loss = ((model(x) - y) ** 2).mean()
                accelerator.backward(loss)
                optimizer.step()
                step += 1
                if watch is not None:
                    watch.step(step, loss=loss)
        if watch is not None:
            watch.end()
        return accelerator.unwrap_model(model)

    assert_same_weights(run(None), run(observe(tmp_path, event="loss <= 1000")))
    run_there = only_run(tmp_path)
    assert list(run_there.table("probes/stand_in")["step"]) == list(range(0, 25, 2))
    assert run_there.outcomes().loc[0, "reached_hi"] == 1


def test_fabric_is_watched_in_a_plain_loop_and_not_changed(tmp_path: Path) -> None:
    def run(watch: Observe | None) -> nn.Module:
        torch.manual_seed(5)
        fabric = Fabric(accelerator="cpu", devices=1)
        model = network()
        bare = model
        model, optimizer = fabric.setup(model, torch.optim.AdamW(model.parameters(), lr=0.01))
        if watch is not None:
            watch.begin(model, {"seed": 5})
        for step in range(1, 13):
            optimizer.zero_grad()
            loss = ((model(X) - Y) ** 2).mean()
            fabric.backward(loss)
            optimizer.step()
            if watch is not None:
                watch.step(step, loss=loss)
        if watch is not None:
            watch.end()
        return bare

    assert_same_weights(run(None), run(observe(tmp_path, event="loss <= 1000")))
    there = only_run(tmp_path)
    assert list(there.table("probes/stand_in")["step"]) == list(range(0, 13, 2))
    assert there.outcomes().loc[0, "reached_hi"] == 1
