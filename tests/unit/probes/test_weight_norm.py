import torch

from observatory.maths.norms import group_norms
from observatory.probes.weight_norm import total_norm


def test_total_is_the_norm_of_all_weights():
    rng = torch.Generator().manual_seed(0)
    params = {name: torch.randn(3, 4, 5, generator=rng) for name in ("W_E", "b.x", "b.y", "c.z")}
    together = torch.cat([p.double().flatten(start_dim=1) for p in params.values()], dim=1)
    expected = torch.linalg.vector_norm(together, dim=1)
    torch.testing.assert_close(total_norm(group_norms(params)), expected, rtol=1e-14, atol=0)
