"""Massive activations of a small language model, from nothing: its text is Python's own library.

    python docs/examples/language_model.py --out results/language_model --preset minutes

trains the models of a preset of language_model.yaml on bytes of the sources of the standard
library, and watches them: results/language_model/study is a study as any other. A model whose run
is complete is not trained again; one that was stopped goes on from its last checkpoint.
language_model_laws.py fits what was seen.
"""

import argparse
import hashlib
import sysconfig
from pathlib import Path
from typing import Any

import torch
import yaml
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn import functional

import observatory as ob
from observatory.core.schedule import AnyOf, Every, LogSpaced

CONTEXT, HEAD, VAL_BYTES, PROBED = 128, 32, 200_000, 10


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
        parts = self.qkv(self.norm_attn(x)).float().chunk(3, dim=-1)
        q, k, v = (part.unflatten(-1, (self.heads, HEAD)).transpose(1, 2) for part in parts)
        with torch.autocast(x.device.type, enabled=False):  # slow on CPUs in bfloat16
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


def windows(text: Tensor, n: int, seed: int) -> Tensor:
    """Windows of the text at random places, one byte longer than the context."""
    rng = torch.Generator().manual_seed(seed)
    at = torch.randint(len(text) - CONTEXT - 1, (n, 1), generator=rng)
    return text[at + torch.arange(CONTEXT + 1)].long()


def loss_of(model: nn.Module, batch: Tensor) -> Tensor:
    """Mean loss of the next byte, in nats."""
    logits = model(batch[:, :-1]).float()
    return functional.cross_entropy(logits.flatten(0, 1), batch[:, 1:].flatten())


class Training:
    """A model, its optimizer, and how many steps were made; kept in one safetensors file."""

    def __init__(self, width: int, depth: int, given: dict[str, Any], kept: Path) -> None:
        torch.manual_seed(given["seed"])
        self.model, self.made, self.given, self.kept = LanguageModel(width, depth), 0, given, kept
        self.named = dict(self.model.named_parameters())
        self.optimizer = torch.optim.AdamW(
            self.named.values(), lr=given["lr"], betas=tuple(given["betas"]),
            weight_decay=given["weight_decay"], fused=True,
        )  # fmt: skip
        if kept.exists():
            self._restore(load_file(kept))

    def step(self, batch: Tensor) -> Tensor:
        """One update; returns the loss before it."""
        rate = self.given["lr"] * min((self.made + 1) / self.given["warm_up"], 1)
        self.optimizer.param_groups[0]["lr"] = rate
        self.optimizer.zero_grad()
        with torch.autocast("cpu", torch.bfloat16, enabled=self.given["bfloat16"]):
            loss = loss_of(self.model, batch)
        loss.backward()
        nn.utils.clip_grad_norm_(self.named.values(), self.given["clip"])
        self.optimizer.step()
        self.made += 1
        return loss.detach()

    def save(self) -> None:
        """Write weights, moments and the number of steps, in place of what was written before."""
        state = {f"weight.{name}": value.detach() for name, value in self.named.items()}
        for name, value in self.named.items():
            for moment in ("exp_avg", "exp_avg_sq"):
                state[f"{moment}.{name}"] = self.optimizer.state[value][moment]
        state["made"] = torch.tensor(self.made)
        partial = self.kept.with_suffix(".part")
        save_file(state, partial)
        partial.rename(self.kept)

    def _restore(self, state: dict[str, Tensor]) -> None:
        self.made = int(state["made"])
        for name, value in self.named.items():
            value.data.copy_(state[f"weight.{name}"])
            moments = {moment: state[f"{moment}.{name}"] for moment in ("exp_avg", "exp_avg_sq")}
            self.optimizer.state[value] = {"step": torch.tensor(float(self.made)), **moments}


def train(
    out: Path, text: Tensor, width: int, depth: int, given: dict[str, Any], until: int
) -> None:
    """Train one model and watch it until a step, unless that was done before."""
    held_out, learnt = text[:VAL_BYTES], text[VAL_BYTES:]
    probed = windows(held_out, PROBED, seed=0)[:, :-1]
    validated = windows(held_out, given["held_out_windows"], seed=1)
    kept, steps = out / "checkpoints" / f"{width}x{depth}.safetensors", given["steps"]
    kept.parent.mkdir(parents=True, exist_ok=True)
    training = Training(width, depth, given, kept)
    watch = ob.Observe(
        out / "study",
        batch=probed,
        every=AnyOf([LogSpaced(given["looks_per_decade"]), Every(given["look_every"])]),
        budget=None,
        probes=["massive_activations", "attention", "attention_heads", "weight_norm"],
    )
    size = sum(value.numel() for value in training.named.values())
    settings = {"width": width, "depth": depth, "n_parameters": size}
    settings |= {name: given[name] for name in ("seed", "lr", "weight_decay")}
    watch.begin(training.model, settings, step=training.made, horizon_steps=steps)
    for n in range(training.made + 1, min(steps, until) + 1):
        loss = training.step(windows(learnt, given["batch"], seed=n))
        if n % given["held_out_every"] == 0 or n == steps:
            with torch.no_grad():
                val = loss_of(training.model, validated)
            watch.step(n, train_loss=loss, val_loss=val)
            print(f"width {width} depth {depth} step {n}: held out {val:.3f} nats", flush=True)
        else:
            watch.step(n)
        if n % given["save_every"] == 0 or n in (steps, until):
            watch.state_dict()
            training.save()
    if training.made == steps:
        watch.end()
    else:
        watch.pause()


def main() -> None:
    """Train what is missing."""
    parser = argparse.ArgumentParser(description="Massive activations of a small language model.")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--preset", choices=["seconds", "minutes", "long"], required=True)
    parser.add_argument("--until", type=int, help="stop here; another call goes on")
    asked = parser.parse_args()
    given = yaml.safe_load(Path(__file__).with_suffix(".yaml").read_text())[asked.preset]
    text = corpus()
    print(f"{len(text)} bytes, sha256 {hashlib.sha256(text.numpy().tobytes()).hexdigest()}")
    for width, depth in given["models"]:
        train(asked.out, text, width, depth, given, asked.until or given["steps"])


if __name__ == "__main__":
    main()
