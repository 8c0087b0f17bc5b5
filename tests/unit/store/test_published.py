"""A study is left alone only while everything that was made of it is as it was noted."""

from pathlib import Path

import pytest

from observatory.store import published

SETTINGS = {"fit": {"draws": 10}, "mlflow": {"points": 100}}


@pytest.fixture
def study(tmp_path: Path) -> Path:
    run = tmp_path / "runs" / "abc"
    (run / "shards" / "0").mkdir(parents=True)
    (run / "manifest.json").write_text("{}")
    (run / "shards" / "0" / "part-0.parquet").write_bytes(b"rows")
    for name in published.MADE:
        (tmp_path / name).write_text(name)
    published.note(tmp_path, SETTINGS, "7")
    return tmp_path


def test_what_nobody_touched_is_unchanged(study: Path) -> None:
    assert published.unchanged(study, SETTINGS) == "7"
    (study / "runs" / "abc" / "owner.lock").write_text("")  # a look is no change
    assert published.unchanged(study, SETTINGS) == "7"


@pytest.mark.parametrize(
    "name", ["fits.json", "report.html", "runs/abc/manifest.json", "runs/new/manifest.json"]
)
def test_a_file_that_changed_is_seen(study: Path, name: str) -> None:
    (study / name).parent.mkdir(exist_ok=True)
    (study / name).write_text("other")
    assert published.unchanged(study, SETTINGS) is None


@pytest.mark.parametrize("name", [*published.MADE, published.PUBLISHED])
def test_a_file_that_is_missing_is_seen(study: Path, name: str) -> None:
    (study / name).unlink()
    assert published.unchanged(study, SETTINGS) is None


def test_other_settings_and_other_code_are_seen(
    study: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert published.unchanged(study, {**SETTINGS, "fit": {"draws": 11}}) is None
    monkeypatch.setattr(published, "_source", lambda: iter(["another"]))
    assert published.unchanged(study, SETTINGS) is None


def test_what_was_not_mirrored_whole_is_mirrored_again(study: Path) -> None:
    published.note(study, SETTINGS, None)
    assert published.unchanged(study, SETTINGS) is None
