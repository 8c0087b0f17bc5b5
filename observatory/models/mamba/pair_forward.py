"""Many Mambas at once on pairs (a, b): the same function without the needless work.

Exact savings over scanning two positions of every example in every block:
  - position 0 sees a alone: its stream has d_vocab rows in every layer, and what position 1 needs
    of it is looked up;
  - in the first layer position 1 enters as a table too: W_in and the gates are of tables only;
  - the first state is dt_0 B_0 x_0, and no decay is computed for it;
  - no state is formed: y_1 = dt_1 x_1 (B_1 . C_1) + dt_0 x_0 sum_n exp(dt_1 A_n) B_0n C_1n;
  - the convolution has two taps that meet anything;
  - in the last layer only position 1 has an output;
  - LayerNorm gains and biases are folded into the weights that follow.

Numbers behind letters are positions. Shapes: a table is `[replica, d_vocab, width]`, what belongs
to examples `[replica, batch, width]`; see `network.py` for the letters.
"""

from typing import final

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from observatory.core.layout import Params
from observatory.maths.hooks import RecordedForward
from observatory.maths.standardise import standardise
from observatory.maths.tables import look_up
from observatory.models.mamba.decayed_sum import decayed_sum


def inner(x: Tensor, y: Tensor) -> Float[Tensor, "replica rows 1"]:
    """Inner products of the rows."""
    products = x * y
    return products @ products.new_ones(products.shape[-1], 1)  # faster than a sum over few


def project(x: Tensor, params: Params, norm: str, weight: str) -> Tensor:
    """norm(x) @ weight, the norm's gain and bias folded into the weight."""
    gain, shift = params[f"{norm}.weight"].unsqueeze(2), params[f"{norm}.bias"].unsqueeze(1)
    matrix = params[weight]
    return torch.baddbmm(torch.bmm(shift, matrix), standardise(x), gain * matrix)


@final
class PairForward(RecordedForward):
    """Stacked forward of Mambas on pairs; see the module's text for what it saves.

    It records every block's residual stream and `final`.
    """

    def __init__(self, *, n_layers: int, dt_rank: int) -> None:
        self.n_layers, self.dt_rank = n_layers, dt_rank

    def _run(self, params: Params, inputs: Tensor, recorded: dict[str, Tensor] | None) -> Tensor:
        embed = params["W_E"]
        offset = embed.shape[1] * torch.arange(len(inputs), device=inputs.device).unsqueeze(1)
        rows_a, rows_b = inputs[..., 0] + offset, inputs[..., 1] + offset
        s0 = s1 = embed
        for layer in range(self.n_layers):
            prefix = f"blocks.{layer}."
            block = {k.removeprefix(prefix): v for k, v in params.items() if k.startswith(prefix)}
            last = layer == self.n_layers - 1 and recorded is None
            s0, s1 = self._block(block, s0, s1, rows_a, rows_b, first=layer == 0, last=last)
            if recorded is not None:
                stream = torch.stack([*look_up([s0], rows_a), s1], dim=2)
                recorded[f"{prefix}resid_post"] = stream
        if recorded is not None:
            gain, shift = params["ln_final.weight"], params["ln_final.bias"]
            recorded["final"] = standardise(s1) * gain.unsqueeze(1) + shift.unsqueeze(1)
        return project(s1, params, "ln_final", "W_U")

    def _block(
        self,
        params: Params,
        s0: Tensor,
        s1: Tensor,
        rows_a: Tensor,
        rows_b: Tensor,
        *,
        first: bool,
        last: bool,
    ) -> tuple[Tensor, Tensor]:
        """The streams of both positions after the block.

        Args:
            params: Parameters of the block.
            s0: Stream of position 0, a table.
            s1: Stream of position 1: in the first block the same table, later one row per example.
            rows_a: Row of operand a in the flattened tables, `[replica, batch]`.
            rows_b: Row of operand b, likewise.
            first: Whether this is the first block.
            last: Whether position 0 is needed no more: it is then returned as it was.
        """
        p, d_state = s0.shape[1], params["A_log"].shape[2]
        sizes = [self.dt_rank, d_state, d_state]
        now, before = params["conv"][..., -1:].mT, params["conv"][..., -2:-1].mT
        b_conv, b_dt, D = (params[name].unsqueeze(1) for name in ("b_conv", "b_dt", "D"))
        xz = project(s0 if first else torch.cat([s0, s1], dim=1), params, "ln", "W_in")
        x0, z0 = xz[:, :p].chunk(2, dim=2)
        tapped = now * x0
        x0, earlier = F.silu(tapped + b_conv), torch.addcmul(b_conv, before, x0)
        gate0 = F.silu(z0)
        dt_low, B0, C0 = torch.bmm(x0, params["W_x"]).split(sizes, dim=2)
        put0 = F.softplus(torch.baddbmm(b_dt, dt_low, params["W_dt"])) * x0  # h_0 = put0 B0
        earlier, put, B = look_up([earlier, put0, B0], rows_a)
        if first:
            tapped, gate, s1 = look_up([tapped, gate0, s1], rows_b)
            x1 = F.silu(earlier + tapped)
        else:
            x1, z1 = xz[:, p:].chunk(2, dim=2)
            x1, gate = F.silu(torch.addcmul(earlier, now, x1)), F.silu(z1)
        dt_low, B1, C1 = torch.bmm(x1, params["W_x"]).split(sizes, dim=2)
        dt = F.softplus(torch.baddbmm(b_dt, dt_low, params["W_dt"]))
        kept = decayed_sum(dt, -params["A_log"].exp(), B * C1)
        y1 = torch.addcmul(x1 * torch.addcmul(D, dt, inner(B1, C1)), put, kept)
        s1 = torch.baddbmm(s1, y1 * gate, params["W_out"])
        if not last:
            y0 = put0 * inner(B0, C0) + D * x0
            s0 = torch.baddbmm(s0, y0 * gate0, params["W_out"])
        return s0, s1
