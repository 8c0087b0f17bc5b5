"""The journal of a search: a batch is in it whole, or not at all."""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, final

from optuna.storages.journal import BaseJournalBackend, JournalFileBackend

from observatory.store.files import make_folder, sync

BATCH = "batch"
"""User attribute of a trial: the batch, and so the run, that it belongs to."""
ASKED = "asked"
"""User attribute of the study: how many batches were asked for, the last record of each."""

Record = dict[str, Any]
_STUDY_ATTRIBUTE, _TRIAL, _TRIAL_ATTRIBUTE = 2, 4, 8
"""`op_code` of records, as Optuna's format of the file has them."""


@final
class Journal(BaseJournalBackend):
    """A journal file of one writer, who may add many records at once.

    What a crash left unfinished is cut off: half a line, and the trials of a batch that is not
    whole. So is the lock of a writer that died, which Optuna would wait for.

    Args:
        path: The file, made where it is missing.
    """

    def __init__(self, path: Path) -> None:
        make_folder(path.parent)
        path.with_name(f"{path.name}.lock").unlink(missing_ok=True)
        if path.exists():
            _repair(path)
        self._path, self._file = path, JournalFileBackend(str(path))
        self._held: list[Record] | None = None
        self._n_written = 0
        sync(path.parent)

    def read_logs(self, log_number_from: int) -> Iterator[Record]:
        """The records from a number on, those included that are held back."""
        yield from self._file.read_logs(log_number_from)
        if self._held is not None:
            yield from self._held[max(0, log_number_from - self._n_written) :]

    def append_logs(self, logs: list[Record]) -> None:
        """Add records durably, or hold them back within `at_once`."""
        if self._held is None:
            self._file.append_logs(logs)
        else:
            self._held += logs

    @contextmanager
    def at_once(self) -> Iterator[None]:
        """Add all records of the block in one write at its end; none where it raises."""
        self._n_written = self._path.read_bytes().count(b"\n")
        self._held = []
        try:
            yield
            held = self._held
        finally:
            self._held = None
        self._file.append_logs(held)


def _repair(journal: Path) -> None:
    with journal.open("r+b") as file:
        text = file.read()
        whole = text[: text.rfind(b"\n") + 1]
        end = _end_of_batches(whole)
        if end < len(text):
            file.truncate(end)
            file.flush()
            os.fsync(file.fileno())


def _end_of_batches(text: bytes) -> int:
    """Where the trials begin that belong to no whole batch; the end where there are none.

    A journal of an earlier version has no `ASKED`: there a trial without a batch is unfinished.
    """
    begun: list[int] = []
    batch_of: dict[int, int] = {}
    asked, place = None, 0
    for line in text.splitlines(keepends=True):
        record: Record = json.loads(line)
        attributes = record.get("user_attr", {})
        code = record["op_code"]
        if code == _TRIAL:
            begun.append(place)
        elif code == _TRIAL_ATTRIBUTE and BATCH in attributes:
            batch_of[record["trial_id"]] = attributes[BATCH]
        elif code == _STUDY_ATTRIBUTE and ASKED in attributes:
            asked = attributes[ASKED]
        place += len(line)
    for trial, start in enumerate(begun):
        if trial not in batch_of or (asked is not None and batch_of[trial] >= asked):
            return start
    return place
