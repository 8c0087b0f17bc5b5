"""Order parameters of the attention heads, a row per replica."""

import pandas as pd

from observatory.analysis.page.facts import Facts
from observatory.analysis.page.frames import select

TABLE = "probes/attention"
LAST = {"pr_norm": "PR_norm, last", "s_bar": "s_bar, last"}
PEAK = {"sigma_h": "sigma_h, peak (nats)"}


def head_readings(facts: Facts) -> pd.DataFrame | None:
    """Last PR_norm and s_bar, largest sigma_H of every replica, layer means; None: no such table.

    Returns:
        run_id, replica, seed, weight_decay, pr_norm, s_bar, sigma_h.
    """
    names = [*LAST, *PEAK]
    frame = facts.group.table(TABLE, names)
    if frame is None or frame.empty:
        return None
    keys = ["run_id", "replica"]
    how = {**dict.fromkeys(LAST, "last"), **dict.fromkeys(PEAK, "max")}
    made = frame.groupby(keys, as_index=False).agg(how)
    own = select(facts.group.replicas, [*keys, "seed", "weight_decay"])
    return pd.DataFrame(own.merge(made, on=keys, how="inner"))
