"""The token at each largest activation, named by the user's tokenizer."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import observatory as ob
from observatory.analysis.page.groups import groups
from observatory.analysis.training.tokens import token_tables
from observatory.cli.main import run as command_line
from observatory.core.errors import ConfigError
from observatory.pipeline import rebuild_report, refit
from observatory.watch.tokens import read_tokenizer
from tests.composed import composed

IDS = torch.randint(23, (4, 6), generator=torch.Generator().manual_seed(0))


class Words:
    """A tokenizer as that of Hugging Face: it has `decode`, of a list of ids."""

    def decode(self, ids: list[int]) -> str:
        return " ".join(f"<{number}>" for number in ids)


class Encoder(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True, dropout=0.0)
        self.table, self.out = nn.Embedding(23, 8), nn.Linear(8, 23)
        self.blocks = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)

    def forward(self, input_ids: Tensor, attention_mask: Any = None) -> Tensor:
        padding = None if attention_mask is None else attention_mask == 0
        return self.out(self.blocks(self.table(input_ids), src_key_padding_mask=padding))


@pytest.mark.parametrize("tokenizer", [Words(), lambda ids: f"<{ids[0]}>"], ids=["object", "plain"])
def test_the_token_is_that_of_the_place(tokenizer: Any) -> None:
    mask = torch.ones_like(IDS)
    mask[:, 4:] = 0
    batch = {"attention_mask": mask, "input_ids": IDS}
    snap = ob.probe(Encoder(), batch, tokenizer=tokenizer, probes=["massive_activations"])
    names = [name for name, table in snap.tables.items() if table.values["token"] is not None]
    assert {"massive_activations", "massive_embedding", "massive_mlp_out"} <= set(names)
    frame: Any = snap.frame()
    for name in names:
        of_table = frame[frame["table"] == name].pivot(index="layer", columns="quantity")["value"]
        places = of_table[["sequence", "position", "token"]].astype(int)
        assert (places["position"] < 4).all()
        for sequence, position, token in places.to_numpy():
            assert IDS[sequence, position] == token
    tokens = frame[frame["quantity"] == "token"]
    assert list(tokens["text"]) == [f"<{int(number)}>" for number in tokens["value"]]
    assert frame.loc[frame["quantity"] != "token", "text"].isna().all()


def test_a_tokenizer_changes_no_number() -> None:
    model = Encoder()
    plain, named = (
        ob.probe(model, IDS, probes=["massive_activations"], tokenizer=tokenizer).frame()
        for tokenizer in (None, Words())
    )
    assert "text" not in plain
    named = named[named["quantity"] != "token"].drop(columns="text").reset_index(drop=True)
    assert named.equals(plain)


def test_texts_are_kept_with_the_run(tmp_path: Path) -> None:
    model = Encoder()
    for first in (0, 4):  # begun, and gone on with
        watch = ob.Observe(
            tmp_path / "mine", batch=IDS, every=2, budget=None, tokenizer=Words(),
            probes=["massive_activations"],
        )  # fmt: skip
        watch.begin(model, step=first)
        for n in range(first + 1, first + 5):
            with torch.no_grad():
                model.table.weight[IDS[0, n % 6]] *= 3.0  # another token becomes the largest
            watch.step(n)
        watch.pause()
    (run,) = ob.Study(tmp_path / "mine").runs
    rows = run.table("probes/massive_embedding")
    assert rows["step"].tolist() == [0, 2, 4, 6, 8]
    seen = {int(token) for token in np.concatenate(rows["token"].to_list())}
    assert len(seen) > 1
    texts = run.manifest["token_texts"]
    assert seen <= {int(number) for number in texts}
    assert all(text == f"<{number}>" for number, text in texts.items())


@pytest.fixture(scope="module")
def named(tmp_path_factory: pytest.TempPathFactory) -> ob.Study:
    """Two trainings in each of which another token becomes the largest, of texts that break."""
    folder = tmp_path_factory.mktemp("results") / "mine"
    texts = {int(number): f"<b>\n\u202e{number}" for number in IDS.flatten()}
    for seed in (0, 1):
        model = Encoder()
        watch = ob.Observe(
            folder, batch=IDS, every=1, budget=None, probes=["massive_activations"],
            tokenizer=lambda ids: texts[ids[0]], event="loss <= 0.1",
        )  # fmt: skip
        watch.begin(model, {"seed": seed, "weight_decay": 0.1, "lr": 0.1})
        with torch.no_grad():
            model.table.weight[IDS[0, seed]] *= 50.0  # after the first look
        watch.step(10, loss=0.0)
        watch.end()
    return ob.Study(folder)


def test_a_table_has_the_tokens_of_the_last_and_of_all_looks(named: ob.Study) -> None:
    (table,) = token_tables(groups(named)[0])
    rows = {name: said for name, block, *said in table.rows if block == "0"}
    last, every = rows["massive_embedding"]
    for number in IDS[0, :2].tolist():
        assert f"'<b>\\n\\u202e{number}' ({number}): 1 of 2" in last
    assert " of 4" in every


@pytest.mark.slow
def test_the_page_has_the_tokens_as_text(named: ob.Study) -> None:
    refit(named.folder, {k: composed("map")["fit"][k] for k in ("study", "boundary_firth")})
    page = rebuild_report(named.folder).read_text()
    assert "&lt;b&gt;\\n\\u202e" in page
    assert "<b>\n" not in page


def saved_tokenizer(folder: Path) -> Path:
    tokenizers = pytest.importorskip("tokenizers")
    words = {"<s>": 0, **{f"w{number}": number for number in range(1, 22)}}
    made = tokenizers.Tokenizer(tokenizers.models.WordLevel(words, unk_token="<s>"))
    made.add_special_tokens(["<s>"])
    folder.mkdir()
    made.save(str(folder / "tokenizer.json"))
    return folder


def test_a_saved_tokenizer_is_read_from_its_file_or_folder(tmp_path: Path) -> None:
    folder = saved_tokenizer(tmp_path / "saved")
    for path in (folder, folder / "tokenizer.json"):
        decode = read_tokenizer(path)
        assert [decode([number]) for number in (0, 7)] == ["<s>", "w7"]
        with pytest.raises(KeyError):
            decode([22])
    torch.save({}, tmp_path / "tokenizer.bin")
    for path in (tmp_path, tmp_path / "none", tmp_path / "tokenizer.bin"):
        with pytest.raises(ConfigError, match=r"`--tokenizer` must be .* Write one: tokenizer\."):
            read_tokenizer(path)


def test_the_verb_names_tokens_by_a_saved_tokenizer(tmp_path: Path) -> None:
    folder = saved_tokenizer(tmp_path / "saved")
    torch.save(Encoder().state_dict(), tmp_path / "step=3.pt")
    torch.save(IDS.clamp(max=21), tmp_path / "batch.pt")
    out = tmp_path / "probed"
    command = [
        "probe", f"{__name__}:Encoder", "--checkpoints", f"{tmp_path}/step=*.pt",
        "--batch", f"{tmp_path}/batch.pt", "--out", str(out), "--tokenizer",
    ]  # fmt: skip
    assert command_line([*command, str(tmp_path)]) == 2
    assert not out.exists()
    assert command_line([*command, str(folder)]) == 0
    (run,) = ob.Study(out).runs
    texts = run.manifest["token_texts"]
    assert {int(n) for n in run.table("probes/massive_activations")["token"][0]} <= set(
        map(int, texts)
    )
    assert texts == {n: "<s>" if n == "0" else f"w{n}" for n in texts}


@pytest.mark.parametrize(
    ("batch", "tokenizer", "message"),
    [
        (torch.randn(2, 3, 8), Words(), "needs ids of tokens in the batch"),
        (IDS, 7, "must have `decode`, or be a function from a list of ids to text, got int"),
        (IDS, lambda ids: ids, "must give text, got list of the token"),
        (IDS, lambda ids: {}[ids[0]], r"raised KeyError\(\d+\) of the token"),
    ],
)
def test_what_names_no_token_is_refused(batch: Tensor, tokenizer: Any, message: str) -> None:
    model = Encoder() if batch.dtype == torch.int64 else Encoder().blocks
    with pytest.raises(ConfigError, match=f"`tokenizer` {message}"):
        ob.probe(model, batch, tokenizer=tokenizer)
