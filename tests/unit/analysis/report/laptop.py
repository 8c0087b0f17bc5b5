"""A made-up laptop map and its page, built once for all tests of a process that read them."""

import functools
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from observatory.analysis.page import style
from observatory.analysis.report.build import build_report
from tests.unit.analysis.report.fabricate import Plan, add_records, fitted_study
from tests.unit.analysis.report.records import every_kind

EVERY_FORMAT = dict(style.FORMATS)


@contextmanager
def cheap_pages(*formats: str) -> Iterator[None]:
    """Pages with figures in some formats only."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(style, "FORMATS", {kind: EVERY_FORMAT[kind] for kind in formats})
        yield


@functools.cache
def mapped(folder: Path) -> Path:
    """A study with the numbers of a laptop map and every kind of record, its page in it."""
    study = fitted_study(folder, Plan())
    add_records(study, every_kind())
    with cheap_pages(*EVERY_FORMAT):
        build_report(study)
    return study
