"""Whether an experiment still lies in MLflow, asked of its embedded database without MLflow."""

import sqlite3
from contextlib import closing

from observatory.mirror.connection import database_file

_QUERY = "SELECT 1 FROM experiments WHERE experiment_id = ? AND lifecycle_stage = 'active'"


def is_present(uri: str, experiment_id: str) -> bool:
    """Whether a database has an experiment that was not deleted; False where it cannot tell.

    Importing MLflow takes three seconds, which a command that finds all done should not. The table
    and its two columns are MLflow's own; should they change, the answer is False, and whoever asks
    mirrors again. Servers and other databases are not asked.

    Args:
        uri: Tracking URI.
        experiment_id: As MLflow gave it.
    """
    if not uri.startswith("sqlite:///") or not database_file(uri).is_file():
        return False
    file = f"{database_file(uri).absolute().as_uri()}?mode=ro"
    try:
        with closing(sqlite3.connect(file, uri=True)) as database:
            return database.execute(_QUERY, (int(experiment_id),)).fetchone() is not None
    except (sqlite3.Error, ValueError):
        return False
