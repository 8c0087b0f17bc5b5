"""Kernel, mixture and gate that an operator of products must give.

| quantity | tolerance, why | source |
|---|---|---|
| kernel, mixture, product, gate | 1e-12: float64 | formulas of arXiv:2401.17948 |
"""

import torch
from torch import Tensor

from observatory.models.hyperzzw.network import SlowNetwork, gated, mixture


def double(values: object) -> Tensor:
    return torch.tensor(values, dtype=torch.float64)


def close(found: Tensor, wanted: object) -> None:
    torch.testing.assert_close(found, double(wanted), rtol=0, atol=1e-12)


def test_three_positions() -> None:
    slow = SlowNetwork(2, 1).double()
    given = {
        "U1": [1.5, -2.0], "b1": [0.0, 0.0], "U2": [0.7, 3.0],
        "b2": [0.7853981633974483, 0.7853981633974483], "W_L": [[0.3, 0.5], [-0.2, 0.1]],
        "b": [0.1, -0.1], "W_K": [[0.4], [-0.6]],
    }  # fmt: skip
    slow.load_state_dict({name: double(values) for name, values in given.items()})
    kernel = slow(3).detach()
    close(
        kernel[..., 0],
        [[0.040824829046386304, -0.10753800810151992, -0.14820547407620593],
         [0.058003225465038, 0.040824829046386304, -0.10753800810151992],
         [0.19771676494256002, 0.058003225465038, 0.040824829046386304]],
    )  # fmt: skip
    z = double([[[0.5, -1.0], [1.5, 0.2], [0.3, 0.8]]])
    mixed = mixture(kernel.expand(-1, -1, 2), z)
    close(
        mixed[0],
        [[-0.18535623985194852, -0.18089680992765506], [0.057977453871642486, -0.13586866613697668],
         [0.1981106693827529, -0.1534562566124434]],
    )  # fmt: skip
    close(
        (z * mixed)[0],
        [[-0.09267811992597426, 0.18089680992765506], [0.08696618080746372, -0.027173733227395337],
         [0.059433200814825865, -0.12276500528995471]],
    )  # fmt: skip
    close(
        gated(z, double([0.7, -1.2]))[0],
        [[0.27181934361853943, -0.23147521650098238], [1.2427428450368987, 0.09760046069385643],
         [0.1547234378262738, 0.2535295241102519]],
    )  # fmt: skip
