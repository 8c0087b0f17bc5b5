"""Saved checkpoints give the numbers that watching gave, bit for bit."""

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from observatory import fits
from observatory.cli.main import run as command_line
from observatory.core.errors import ConfigError, StoreError
from observatory.store.reader import Run, Study
from observatory.watch.online.checkpoints import (
    made_batch,
    made_model,
    named_object,
    probe_checkpoints,
)
from observatory.watch.online.observer import Observe
from observatory.watch.online.saved import (
    load_checkpoint,
    load_weights,
    read_weights,
    step_of,
)

BATCH = torch.randn(3, 5, 8, generator=torch.Generator().manual_seed(0))


def make() -> nn.Module:
    torch.manual_seed(0)
    layer = nn.TransformerEncoderLayer(8, 2, 16, dropout=0.1, batch_first=True)
    return nn.TransformerEncoder(layer, 2)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Run, Path]:
    """A watched training of which three states were saved, each in another way."""
    folder = tmp_path_factory.mktemp("trained")
    model = make()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    watch = Observe(folder / "results" / "online", batch=BATCH, every=2, budget=None)
    watch.begin(model)
    for step in range(1, 5):
        optimizer.zero_grad()
        (model(torch.randn(3, 5, 8)) ** 2).mean().backward()
        optimizer.step()
        watch.step(step)
        state = {name: value.clone() for name, value in model.state_dict().items()}
        if step == 2:
            save_file(state, folder / "step=000002.safetensors")
        if step == 4:
            held = {"state_dict": {f"m.{name}": v for name, v in state.items()}, "epoch": 1}
            torch.save(held, folder / "epoch=0-step=4.ckpt")
    online = watch.end()
    assert online is not None
    return online, folder


@pytest.mark.slow
def test_online_and_probed_numbers_are_the_same_bits(trained: tuple[Run, Path]) -> None:
    online, folder = trained
    paths = [folder / "epoch=0-step=4.ckpt", folder / "step=000002.safetensors"]
    asked = make(), paths, BATCH, folder / "results" / "probed"
    probe_checkpoints(*asked)
    probed = probe_checkpoints(*asked)  # a second call replaces the first one's rows
    assert len(Study(folder / "results" / "probed").runs) == 1
    tables = [name for name in online.tables() if name.startswith("probes/")]
    assert tables == [name for name in probed.tables() if name.startswith("probes/")]
    for table in tables:
        whole, again = online.arrow(table), probed.arrow(table)
        assert again["step"].to_pylist() == [2, 4]
        expected = whole.filter([step > 0 for step in whole["step"].to_pylist()])
        assert again.drop_columns("run_id").equals(expected.drop_columns("run_id")), table


def test_the_verb_looks_at_what_a_pattern_matches(
    trained: tuple[Run, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    online, folder = trained
    (folder / "own.py").write_text(
        "import torch\nfrom torch import nn\n"
        "def make():\n    layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)\n"
        "    return nn.TransformerEncoder(layer, 2)\n"
    )
    out = str(folder / "results" / "verb")
    kept = str(online.folder / "probe_batch.pt")
    command = ["probe", f"{folder}/own.py:make", "--batch", kept, "--out", out, "--checkpoints"]
    assert command_line([*command, f"{folder}/*.safetensors"]) == 0
    assert Path(capsys.readouterr().out.strip()).is_dir()
    assert command_line([*command, f"{folder}/*.none"]) == 2
    assert "must match a file or a folder" in capsys.readouterr().err


def test_tied_weights_may_be_missing_and_nothing_else(tmp_path: Path) -> None:
    class Tied(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.table = nn.Embedding(5, 3)
            self.readout = nn.Linear(3, 5, bias=False)
            self.readout.weight = self.table.weight

    model = Tied()
    weights = {"_orig_mod.table.weight": torch.ones(5, 3)}
    load_weights(model, weights, "here")
    assert model.readout.weight.eq(1).all()
    for wrong, words in (
        ({}, "missing: table.weight"),
        ({**weights, "_orig_mod.other": torch.ones(1)}, "unknown: _orig_mod.other"),
        ({"table.weight": torch.ones(4, 3)}, "of another shape: table.weight"),
        (
            {"table.weight": torch.ones(5, 3), "readout.weight": torch.zeros(5, 3)},
            "of another value than what the model ties it to: readout.weight",
        ),
    ):
        with pytest.raises(StoreError, match=words):
            load_weights(model, wrong, "here")
    diverged = torch.full((5, 3), torch.nan)
    load_weights(model, {"table.weight": diverged, "readout.weight": diverged.clone()}, "here")
    assert model.readout.weight.isnan().all()


def test_shards_are_put_together_and_pickles_refused(tmp_path: Path) -> None:
    model = nn.Linear(2, 2)
    folder = tmp_path / "checkpoint-7"
    folder.mkdir()
    parts = dict(zip(("a", "b"), model.state_dict().items(), strict=True))
    for part, (name, value) in parts.items():
        save_file({name: value}, folder / f"{part}.safetensors")
    index = {name: f"{part}.safetensors" for part, (name, _) in parts.items()}
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": index}))
    assert read_weights(folder).keys() == {"weight", "bias"}
    assert step_of(folder) == 7
    for wrong, words in (
        ({"weight": "a.safetensors", "bias": "a.safetensors"}, "their shards lack: bias"),
        ({"weight": "a.safetensors", "bias": "c.safetensors"}, "c.safetensors` cannot be read"),
        ("a.safetensors", "must have the file of each weight"),
    ):
        (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": wrong}))
        with pytest.raises(StoreError, match=words):
            read_weights(folder)
    torch.save(model, tmp_path / "pickled.pt")
    with pytest.raises(StoreError, match=r"model.state_dict\(\)"):
        read_weights(tmp_path / "pickled.pt")
    (tmp_path / "empty").mkdir()
    with pytest.raises(StoreError, match="save_pretrained"):
        read_weights(tmp_path / "empty")


def test_what_names_nothing_is_refused(tmp_path: Path) -> None:
    for text in ("nowhere", "no.such.module:name", f"{tmp_path}/none.py:x", "json:nothing"):
        with pytest.raises(ConfigError):
            named_object(text)
    with pytest.raises(ConfigError, match="--steps"):
        step_of(tmp_path / "final.pt")
    assert made_batch("math:pi") == pytest.approx(3.14159, abs=1e-5)
    with pytest.raises(ConfigError, match="each of its own step"):
        probe_checkpoints(nn.Linear(1, 1), [], BATCH, tmp_path)


def test_a_fit_of_checkpoints_says_that_they_hold_no_event(tmp_path: Path) -> None:
    model = nn.Linear(2, 2)
    save_file(model.state_dict(), tmp_path / "step=0.safetensors")
    probe_checkpoints(model, [tmp_path / "step=0.safetensors"], torch.ones(3, 2), tmp_path / "at_0")
    with pytest.raises(ConfigError, match="saved checkpoints, which hold weights and no metric"):
        fits.boundary(tmp_path / "at_0")


@pytest.mark.slow
def test_folders_of_hugging_face_are_models_and_checkpoints(tmp_path: Path) -> None:
    transformers = pytest.importorskip("transformers")
    torch.manual_seed(0)
    sizes = {"num_attention_heads": 4, "num_key_value_heads": 2, "num_hidden_layers": 2}
    config = transformers.LlamaConfig(
        vocab_size=50, hidden_size=32, intermediate_size=64, max_position_embeddings=32, **sizes
    )
    model = transformers.LlamaForCausalLM(config)
    norms: list[float] = []
    for step in (10, 20):
        model.save_pretrained(tmp_path / f"run/checkpoint-{step}")
        norms.append(sum(float(p.detach().double().square().sum()) for p in model.parameters()))
        with torch.no_grad():
            model.lm_head.weight.mul_(1.5)
    torch.save({"input_ids": torch.arange(24).reshape(2, 12)}, tmp_path / "batch.pt")
    pattern, out = str(tmp_path / "run/checkpoint-*"), tmp_path / "probed"
    given = ["--checkpoints", pattern, "--batch", str(tmp_path / "batch.pt"), "--out", str(out)]
    assert command_line(["probe", f"hf:{tmp_path}/run/checkpoint-10", *given]) == 0
    (run,) = Study(out).runs
    assert list(run.table("probes/attention")["step"]) == [10, 20]
    measured = run.table("probes/weight_norm").set_index("step")["l2"]
    assert measured.to_numpy() == pytest.approx([norm**0.5 for norm in norms], rel=1e-6)
    with pytest.raises(ConfigError, match="holds one batch: give it without `:x`"):
        made_batch(f"{tmp_path}/batch.pt:x")


def test_experts_that_are_stored_one_by_one_are_joined_and_named(tmp_path: Path) -> None:
    transformers = pytest.importorskip("transformers")
    config = transformers.MixtralConfig(
        vocab_size=20, hidden_size=8, intermediate_size=12, num_hidden_layers=1,
        num_attention_heads=2, num_key_value_heads=1, num_local_experts=2,
    )  # fmt: skip
    torch.manual_seed(0)
    saved = transformers.MixtralForCausalLM(config).to(torch.bfloat16)
    saved.save_pretrained(tmp_path)
    stored = read_weights(tmp_path)
    assert not stored.keys() <= saved.state_dict().keys()
    model = made_model(f"hf:{tmp_path}")
    assert {p.dtype for p in model.parameters()} == {torch.bfloat16}
    load_checkpoint(model, tmp_path)
    for name, value in saved.state_dict().items():
        assert model.state_dict()[name].equal(value), name
    lost = next(name for name in sorted(stored) if "experts.1.w1" in name)
    others = {name: value for name, value in stored.items() if name != lost}
    save_file(others, tmp_path / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(StoreError, match=f"missing: {lost}; unknown: none"):
        load_checkpoint(model, tmp_path)
    more = {"other.weight": torch.ones(2), **stored}
    more.pop("model.norm.weight")
    save_file(more, tmp_path / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(StoreError, match=r"unknown: other.weight; missing: model.norm.weight\. G"):
        load_checkpoint(model, tmp_path)


@pytest.mark.parametrize(
    ("about", "words"),
    [
        ([1], r"must be an object .* got \[1\]"),
        ({"architectures": "GPT2Model", "model_type": "gpt2"}, "the list .* got 'GPT2Model'"),
        ({"architectures": [3], "model_type": "gpt2"}, r"the name of a class .* got \[3\]"),
        ({"architectures": ["GPT2Config"], "model_type": "gpt2"}, "must name a model"),
        ({"architectures": ["GPT2Model"], "model_type": ["a"]}, "Name a factory instead"),
        ({"architectures": ["GPT2Model"], "model_type": "gpt2", "dtype": "no"}, "Name a factory"),
    ],
)
def test_a_configuration_of_another_kind_is_refused(
    about: object, words: str, tmp_path: Path
) -> None:
    pytest.importorskip("transformers")
    (tmp_path / "config.json").write_text(json.dumps(about))
    with pytest.raises(ConfigError, match=words):
        made_model(f"hf:{tmp_path}")


def test_code_of_a_folder_is_not_run(tmp_path: Path) -> None:
    pytest.importorskip("transformers")
    about = {
        "model_type": "mine",
        "architectures": ["LlamaForCausalLM"],
        "auto_map": {"AutoConfig": "own.Mine"},
    }
    (tmp_path / "config.json").write_text(json.dumps(about))
    (tmp_path / "own.py").write_text("raise SystemExit\n")
    with pytest.raises(ConfigError, match=r"custom code.* Name a factory instead"):
        made_model(f"hf:{tmp_path}")
