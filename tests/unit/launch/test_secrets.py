"""Passwords and tokens stay where they were given: in nothing that is written or printed."""

import sys
from pathlib import Path

import pytest

from observatory.cli import main as cli
from observatory.core.errors import ConfigError, StoreError
from observatory.core.secrets import redacted, without_secrets
from observatory.launch.compose import compose
from observatory.launch.layout import resolved
from observatory.launch.run import own_run

TINY = ["task.p=5", "model.d_model=8", "model.d_mlp=8", "model.n_heads=2", "probe=[]"]
SECRET = "s3cr3t"
ADDRESSES = [
    "postgresql://me:s3cr3t@host/db",
    "postgresql+psycopg2://me:s3cr3t%40x@host:5432/db?sslmode=require",
    "postgresql://me:s3cr3t/with@and:more@host/db",
    "postgresql:///db?host=h&user=me&password=s3cr3t",
    "mysql://h/db?user=me&passwd=s3cr3t&ssl=1",
    "https://s3cr3t@host/path",
    "https://user:s3cr3t@host/path",
    "https://host/path?access_token=s3cr3t",
    "https://host/path?page=1&api_key=s3cr3t#top",
    "https://host/path?X-Amz-Signature=s3cr3t",
    "https://host/path?sig=s3cr3t",
    "s3://key:s3cr3t@bucket/folder",
    "'postgresql://me:s3cr3t@host/db'",
    "mlflow.tracking_uri=http://me:s3cr3t@host",
]


@pytest.mark.parametrize("address", ADDRESSES)
def test_a_secret_is_removed_and_the_rest_stays(address: str) -> None:
    public = without_secrets(f"before {address} after")
    assert SECRET not in public
    assert public.startswith("before ")
    assert public.endswith(" after")
    assert without_secrets(public) == public
    if "host" in address:
        assert "host" in public


@pytest.mark.parametrize(
    "text",
    [
        "sqlite:////home/me/mlflow.db", "http://localhost:5000/#/experiments/7?view=1&page=2",
        "postgresql://me@host/db", "task.n_tokens=5 design=2 bypass=1", "author=Ada", "a: b@c.de",
    ],
)  # fmt: skip
def test_what_is_no_secret_stays(text: str) -> None:
    assert redacted({"a": [text, 1, None], "b": (text,)}) == {"a": [text, 1, None], "b": (text,)}


def everything(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in folder.rglob("*") if path.is_file())


@pytest.mark.parametrize("address", ADDRESSES[:4])
def test_no_file_of_a_run_holds_one(address: str, tmp_path: Path, monkeypatch) -> None:
    override = f"mlflow.tracking_uri='{address}'"
    monkeypatch.setattr(sys, "argv", ["observatory", "map", override])
    config = compose("train", [*TINY, override, f"results={tmp_path}"])
    assert config["mlflow"]["tracking_uri"] == address
    with pytest.raises(StoreError), own_run({**config, "fleet": resolved(config)["fleet"]}):
        raise StoreError("it ends here")
    written = everything(tmp_path)
    assert b"tracking_uri" in written
    assert SECRET.encode() not in written


def test_one_that_belongs_to_the_identity_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"`task` must hold no password.*me:\*\*\*@host"):
        compose("train", ["task=cayley", "task.path='https://me:s3cr3t@host/table.csv'"])


@pytest.mark.slow
@pytest.mark.parametrize(
    "arguments",
    [
        ["map", "--cfg", "job"],
        ["map", "--cfg", "job", "--resolve"],
        ["map", "mlflow.no_such=1"],
        ["map", "train_fraction=7"],
        ["map", "--cfg", "job", "train_fraction=7"],
        ["map", "study=a=b"],
    ],
)
def test_the_terminal_shows_none(arguments: list[str], capfd) -> None:
    cli.run([*arguments, f"mlflow.tracking_uri={ADDRESSES[0]}"])
    shown = capfd.readouterr()
    assert SECRET not in shown.out + shown.err
    cli.run([*arguments, "mlflow.tracking_uri=postgresql://h/db?user=me&password=s3cr3t"])
    shown = capfd.readouterr()
    assert SECRET not in shown.out + shown.err


@pytest.mark.slow
def test_a_multirun_of_hydra_writes_none(tmp_path: Path, capfd) -> None:
    """Hydra writes down what it was given, before anything of ours is called."""
    given = ["-m", *TINY, f"results={tmp_path}", "horizon_steps=25", "fleet.shards=1"]
    cli.run(["train", *given, f"mlflow.tracking_uri='{ADDRESSES[0]}'"])
    shown = capfd.readouterr()
    written = everything(tmp_path)
    assert b"tracking_uri" in written
    assert SECRET not in shown.out + shown.err
    assert SECRET.encode() not in written
