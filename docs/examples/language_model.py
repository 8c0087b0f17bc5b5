"""Massive activations of a small language model, from nothing: its text is Python's own library.

    python docs/examples/language_model.py --out results/language_model --steps 20000

trains one model for every width and depth on bytes of the sources of the standard library, watches
it, and fits the five-parameter law of arXiv:2508.03616 to the largest activation over the median of
every block. A model whose run is complete is not trained again.
"""

import argparse
import json
import sysconfig
from pathlib import Path

import pandas as pd
import torch
from torch import Tensor, nn
from torch.nn import functional

import observatory as ob
from observatory.core.schedule import LogSpaced

CONTEXT, HEAD, BATCH, VAL_BYTES, PROBED = 128, 32, 16, 200_000, 10


def corpus() -> Tensor:
    """Every source file of the standard library in the order of their paths, as bytes."""
    library = Path(sysconfig.get_path("stdlib"))
    kept = (p for p in library.rglob("*.py") if "site-packages" not in p.parts)
    text = b"\n\n".join(path.read_bytes() for path in sorted(kept))
    return torch.frombuffer(bytearray(text), dtype=torch.uint8)


class Block(nn.Module):
    """Causal attention and an MLP, each added to the stream."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.heads = width // HEAD
        self.norm_attn, self.norm_mlp = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.mlp = nn.Sequential(
            nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width)
        )

    def forward(self, x: Tensor) -> Tensor:
        parts = self.qkv(self.norm_attn(x)).chunk(3, dim=-1)
        q, k, v = (part.unflatten(-1, (self.heads, HEAD)).transpose(1, 2) for part in parts)
        mixed = functional.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.out(mixed.transpose(1, 2).flatten(2))
        return x + self.mlp(self.norm_mlp(x))


class LanguageModel(nn.Module):
    """Bytes in, logits of the next byte out."""

    def __init__(self, width: int, depth: int) -> None:
        super().__init__()
        self.bytes, self.places = nn.Embedding(256, width), nn.Embedding(CONTEXT, width)
        self.blocks = nn.ModuleList(Block(width) for _ in range(depth))
        self.norm, self.readout = nn.LayerNorm(width), nn.Linear(width, 256, bias=False)
        for parameter in self.parameters():
            if parameter.ndim == 2:
                nn.init.normal_(parameter, std=0.02)

    def forward(self, tokens: Tensor) -> Tensor:
        x = self.bytes(tokens) + self.places.weight[: tokens.shape[1]]
        for block in self.blocks:
            x = block(x)
        return self.readout(self.norm(x))


def windows(text: Tensor, n: int, rng: torch.Generator) -> Tensor:
    """Windows of the text at random places, one byte longer than the context."""
    at = torch.randint(len(text) - CONTEXT - 1, (n, 1), generator=rng)
    return text[at + torch.arange(CONTEXT + 1)].long()


def loss_of(model: nn.Module, batch: Tensor) -> Tensor:
    """Mean loss of the next byte, in nats."""
    return functional.cross_entropy(model(batch[:, :-1]).flatten(0, 1), batch[:, 1:].flatten())


def train(study: Path, text: Tensor, width: int, depth: int, steps: int, seed: int) -> None:
    """Train one model and watch it, unless that was done before."""
    rng = torch.Generator().manual_seed(seed)
    torch.manual_seed(seed)
    model = LanguageModel(width, depth)
    held_out, learnt = text[:VAL_BYTES], text[VAL_BYTES:]
    probed = windows(held_out, PROBED, torch.Generator().manual_seed(0))
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, betas=(0.9, 0.95), weight_decay=0.1)
    rate = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda n: min((n + 1) / 200, 1) * max(0.1, 1 - n / steps)
    )
    watch = ob.Observe(
        study,
        batch=probed[:, :-1],
        every=LogSpaced(20),
        budget=None,
        probes=["massive_activations", "attention", "attention_heads", "weight_norm"],
    )
    settings = {"width": width, "depth": depth, "seed": seed, "weight_decay": 0.1, "lr": 1e-3}
    try:
        watch.begin(model, settings, horizon_steps=steps)
    except ob.StoreError as ended:
        print(ended)
        return
    for n in range(1, steps + 1):
        optimizer.zero_grad()
        loss = loss_of(model, windows(learnt, BATCH, rng))
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        rate.step()
        if n % 100 == 0 or n == steps:
            with torch.no_grad():
                val = loss_of(model, probed)
            watch.step(n, train_loss=loss, val_loss=val)
            print(f"width {width} depth {depth} step {n}: {loss:.3f}, held out {val:.3f}")
        else:
            watch.step(n)
    watch.end()


def ratios(study: Path) -> pd.DataFrame:
    """Largest over median activation of every block, a row per model, block and look."""
    rows = []
    for run in ob.Study(study).runs:
        settings = run.manifest["settings"]
        found = run.table("probes/massive_activations")
        for step, layers in zip(found["step"], found["ratio"], strict=True):
            model = f"{settings['width']} x {settings['depth']}"
            rows += [
                {"model": model, "layer": layer, "step": step, "ratio": ratio}
                for layer, ratio in enumerate(layers)
            ]
    return pd.DataFrame(rows)


def main() -> None:
    """Train what is missing, then fit every block of every model."""
    parser = argparse.ArgumentParser(description="Massive activations of a small language model.")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--steps", type=int, required=True)
    parser.add_argument("--widths", type=int, nargs="+", default=[128, 256])
    parser.add_argument("--depths", type=int, nargs="+", default=[4, 8])
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    text = corpus()
    for width in asked.widths:
        for depth in asked.depths:
            train(asked.out, text, width, depth, asked.steps, asked.seed)
    table = ratios(asked.out)
    table.to_csv(asked.out / "ratios.csv", index=False)
    found = ob.fits.curves(table, "emergence", group=["model", "layer"])
    print(found)
    (asked.out / "emergence.json").write_text(json.dumps(found.to_json()))


if __name__ == "__main__":
    main()
