"""Named, independent random generators from one seed."""

import hashlib

import torch


def named_generator(seed: int, name: str) -> torch.Generator:
    """A CPU generator that depends on `seed` and `name` alone.

    Not on the slot, the device, the order of calls or other generators: a replica draws the same
    numbers wherever it is trained.

    Args:
        seed: Any integer, also 0 and negative ones.
        name: What the numbers are for: "init", "data" (the split), "labels", "batch", "probe",
            "inputs" or "irreps".

    Example:
        >>> a, b = named_generator(0, "init"), named_generator(0, "init")
        >>> bool((torch.randn(3, generator=a) == torch.randn(3, generator=b)).all())
        True
    """
    digest = hashlib.sha256(f"{name}:{seed}".encode()).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest[:8], "big") >> 1)
