"""Many LSTMs at once: the same function without the needless work.

Exact savings over running every layer on every position of every example:
  - after the first operand, a, all states depend on a alone: d_vocab rows in every layer, and so
    does their product with W_hh, which is looked up where the second operand needs it;
  - the first step has no W_hh product and no forget term, the states before it being zero;
  - the first layer's input gates depend on one token: d_vocab rows, looked up per example;
  - a layer's input gates of all steps are one product, and so is the gradient of its W_ih;
  - the cell has its gradient in closed form.

Shapes: a table is `[replica, d_vocab, width]`, a per-example state `[replica, batch, d_hidden]`.
"""

from collections.abc import Sequence
from typing import Any, final

import torch
from jaxtyping import Float
from torch import Tensor
from torch.autograd.function import once_differentiable

from observatory.core.layout import Params
from observatory.maths.hooks import RecordedForward
from observatory.maths.tables import gather


def pieces(stacked: Tensor | None, like: Tensor) -> Sequence[Any]:
    """One replica after another on a CPU, whose cache holds one's gates; elsewhere all at once."""
    if stacked is None:
        return [None] * (len(like) if like.device.type == "cpu" else 1)
    return stacked.unbind() if like.device.type == "cpu" else [stacked]


@final
class _Step(torch.autograd.Function):
    """A step of all replicas but the first: the hidden state and the cell after it.

    The gates before their nonlinearities are the sum of `from_input` `[replica, batch, 4 d_hidden]`
    and the first columns of `earlier`, whose last d_hidden columns are the cell before. Either may
    be a table, `[replica, d_vocab, ...]`, with the row of each example beside it; a `from_input`
    that is none is overwritten, since nothing that made it looks at it again.
    """

    @staticmethod
    def forward(
        ctx: Any,
        from_input: Tensor,
        earlier: Tensor,
        input_rows: Tensor | None,
        earlier_rows: Tensor | None,
    ) -> tuple[Tensor, Tensor]:
        rows = input_rows if input_rows is not None else earlier_rows
        n = from_input.shape[1] if rows is None else rows.shape[1]
        d_hidden = from_input.shape[2] // 4
        gates = from_input
        if input_rows is not None:
            gates = from_input.new_empty(len(from_input), n, 4 * d_hidden)
        hiddens, cells, bents = gates.new_empty(3, *gates.shape[:2], d_hidden)
        for piece in zip(
            *(pieces(x, gates) for x in (from_input, earlier, input_rows, earlier_rows)),
            *(pieces(x, gates) for x in (gates, hiddens, cells, bents)),
            strict=True,
        ):
            table, before, of_table, of_before, opened, hidden, cell, bent = piece
            if of_table is not None:
                torch.index_select(table, 0, of_table, out=opened)
            if of_before is not None:
                before = before.index_select(0, of_before)
            opened += before[..., : 4 * d_hidden]
            i, f, g, o = opened.chunk(4, dim=-1)
            opened[..., : 2 * d_hidden].sigmoid_()
            g.tanh_()
            o.sigmoid_()
            torch.mul(f, before[..., 4 * d_hidden :], out=cell).addcmul_(i, g)
            torch.mul(o, torch.tanh(cell, out=bent), out=hidden)
        ctx.save_for_backward(earlier, input_rows, earlier_rows, bents)
        # Not saved as a variable: it may be `from_input` itself, overwritten above on purpose.
        ctx.gates, ctx.sizes = gates, from_input.shape
        ctx.set_materialize_grads(False)
        return hiddens, cells

    @staticmethod
    @once_differentiable
    def backward(  # pyright: ignore[reportIncompatibleMethodOverride]
        ctx: Any, *gradients: Tensor | None
    ) -> tuple[Tensor, Tensor, None, None]:
        earlier, input_rows, earlier_rows, bents = ctx.saved_tensors
        gates, d_hidden = ctx.gates, bents.shape[2]
        sigmoid_backward = torch.ops.aten.sigmoid_backward.grad_input
        tanh_backward = torch.ops.aten.tanh_backward
        to_input = gates.new_zeros(ctx.sizes) if input_rows is not None else None
        to_earlier = torch.zeros_like(earlier) if earlier_rows is not None else None
        whole = None
        if to_input is None or to_earlier is None:
            whole = gates.new_empty(*gates.shape[:2], 5 * d_hidden)
        for piece in zip(
            *(pieces(x, gates) for x in (gates, bents, earlier, input_rows, earlier_rows)),
            *(pieces(x, gates) for x in (*gradients, to_input, to_earlier, whole)),
            strict=True,
        ):
            opened, bent, before, of_table, of_before, of_hidden, total, table, states, pulled = (
                piece
            )
            i, f, g, o = opened.chunk(4, dim=-1)
            before = before[..., 4 * d_hidden :]
            if of_before is not None:
                before = before.index_select(0, of_before)
            if pulled is None:
                pulled = opened.new_empty(len(opened), 5 * d_hidden)
            to_i, to_f, to_g, to_o, to_before = pulled.chunk(5, dim=-1)
            if of_hidden is None:
                to_o.zero_()
            else:
                sigmoid_backward(of_hidden * bent, o, grad_input=to_o)
                through = tanh_backward(of_hidden * o, bent)
                total = through if total is None else through.add_(total)
            sigmoid_backward(total * g, i, grad_input=to_i)
            sigmoid_backward(total * before, f, grad_input=to_f)
            tanh_backward.grad_input(total * i, g, grad_input=to_g)
            torch.mul(total, f, out=to_before)
            if of_table is not None:
                table.index_add_(0, of_table, pulled[..., : 4 * d_hidden])
            if of_before is not None:
                states.index_add_(0, of_before, pulled)
        if to_input is None:
            assert whole is not None
            to_input = whole[..., : 4 * d_hidden]
        if to_earlier is None:
            assert whole is not None
            to_earlier = whole
        return to_input, to_earlier, None, None


def first_step(gates: Float[Tensor, "replica d_vocab _"]) -> tuple[Tensor, Tensor]:
    """Hidden state and cell after a step from zero states."""
    i, _, g, o = gates.chunk(4, dim=-1)
    cell = i.sigmoid() * g.tanh()
    return o.sigmoid() * cell.tanh(), cell


def step(
    from_input: Tensor, earlier: Tensor, input_rows: Tensor | None, earlier_rows: Tensor | None
) -> tuple[Tensor, Tensor]:
    """See `_Step`."""
    if from_input.is_cuda:
        from_input, input_rows = chosen(from_input, input_rows), None
        earlier, earlier_rows = chosen(earlier, earlier_rows), None
    states = _Step.apply(from_input, earlier, input_rows, earlier_rows)
    assert isinstance(states, tuple)
    return states


def chosen(table: Tensor, rows: Tensor | None) -> Tensor:
    """Rows `rows[r]` of replica r's table; the table where `rows` is None."""
    if rows is None:
        return table
    replica = torch.arange(len(table), device=table.device).unsqueeze(1)
    return gather(table, rows + table.shape[1] * replica)


@final
class RecurrentForward(RecordedForward):
    """Stacked forward of LSTMs on two tokens or more; see the module's text for what it saves.

    It records hidden and cell states of every layer, and `final`.
    """

    def __init__(self, n_layers: int) -> None:
        self.n_layers = n_layers

    def _run(self, params: Params, inputs: Tensor, recorded: dict[str, Tensor] | None) -> Tensor:
        p = params["W_E"].shape[1]
        rows = [row.contiguous() for row in inputs.unbind(dim=2)]
        read = params["W_E"]  # later: d_vocab rows after the first operand, then the others' rows
        for layer in range(self.n_layers):
            block = f"blocks.{layer}."
            bias = params[block + "b_ih"] + params[block + "b_hh"]
            gates = torch.baddbmm(bias.unsqueeze(1), read, params[block + "W_ih"])
            hidden, cell = first_step(gates[:, :p])
            hiddens, cells = [hidden], [cell]
            for pos in range(1, len(rows)):
                earlier = torch.cat([torch.bmm(hidden, params[block + "W_hh"]), cell], dim=2)
                late = gates if layer == 0 else gates[:, p:].chunk(len(rows) - 1, dim=1)[pos - 1]
                hidden, cell = step(
                    late,
                    earlier,
                    rows[pos] if layer == 0 else None,
                    rows[0] if pos == 1 else None,
                )
                hiddens.append(hidden)
                cells.append(cell)
            if recorded is not None:
                for kind, (table, *states) in (("hidden", hiddens), ("cell", cells)):
                    recorded[block + kind] = torch.stack([chosen(table, rows[0]), *states], dim=2)
            read = hidden if layer == self.n_layers - 1 else torch.cat(hiddens, dim=1)
        if recorded is not None:
            recorded["final"] = read
        return torch.bmm(read, params["W_U"])
