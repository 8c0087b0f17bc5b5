"""The token at each largest activation, named by the user's tokenizer."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import observatory as ob
from observatory.core.errors import ConfigError

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
