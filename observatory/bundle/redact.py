"""What of a study is private, and how it looks in public: no host, account or path of a disk."""

import json
import re
from collections.abc import Mapping
from copy import deepcopy
from typing import Any

import yaml
from markupsafe import escape

_REDACTED = "redacted"
_PRIVATE_SETTINGS: dict[str, Any] = {
    "results": "results",
    "mlflow.tracking_uri": None,
    "mlflow.artifacts": None,
    "launcher": {},
}
"""Settings that name places and accounts, cannot change a number, and what stands for them."""
LEFT_OUT = (
    "`owner.lock`, `checkpoint.pt`, `worker.log`, Hydra's folder, the journal of a search and what "
    "a cluster's jobs left are left out, and so is the table `weights` of every run: parameters "
    "that go along are files of their own.",
    "`machine.host` of every manifest, and the host in `report.html`, read `redacted`.",
    "In the command line of every run each word that could be a path or an address, and the value "
    "of each setting below, reads `redacted`.",
    "The settings `results`, `mlflow.tracking_uri`, `mlflow.artifacts` and `launcher` (a cluster's "
    "accounts and queues) stand at plain values: they cannot change a number, and are no part of a "
    "run's identity.",
    "Every other setting is the user's own and is kept, names of files included. So is "
    "`code.diff`, what the checkout had changed: read it before you publish.",
)
"""What a reader learns of it."""

_OVERRIDE = re.compile(r"[+~]*[\w./@-]+=[^/\\~]*|--?[a-z][\w-]*")


def _public_command(command: str) -> str:
    """A command line without anything that could be a path.

    Example:
        >>> _public_command("/home/me/.venv/bin/observatory map task=mul results=/data/me -m")
        'observatory map task=mul results=redacted -m'
        >>> _public_command("observatory map --config-dir /home/me/my conf/own x/y=z")
        'observatory map --config-dir redacted redacted x/y=z'
        >>> _public_command("observatory map task=mul +launcher.account=ada -m")
        'observatory map task=mul +launcher.account=redacted -m'
    """
    program, *words = command.split(" ")
    public = [program.replace("\\", "/").rpartition("/")[2]]
    if words and words[0].isalpha():
        public.append(words.pop(0))
    after_folder = False
    for word in words:
        key, sign, _ = word.partition("=")
        private = f"{key.lstrip('+~')}.".startswith(tuple(f"{n}." for n in _PRIVATE_SETTINGS))
        if _OVERRIDE.fullmatch(word) and not after_folder and not private:
            public.append(word)
        else:
            public.append(f"{key}={_REDACTED}" if sign and not key.startswith("/") else _REDACTED)
        after_folder = word == "--config-dir"
    return " ".join(public)


def public_config(config: Mapping[str, Any]) -> dict[str, Any]:
    """A configuration whose private settings stand at plain values.

    Example:
        >>> public_config({"seed": 0, "results": "/home/me", "mlflow": {"tracking_uri": "x://y"}})
        {'seed': 0, 'results': 'results', 'mlflow': {'tracking_uri': None}}
    """
    public = deepcopy(dict(config))
    for name, plain in _PRIVATE_SETTINGS.items():
        *groups, last = name.split(".")
        node: Any = public
        for group in groups:
            node = node.get(group) or {}
        if last in node:
            node[last] = deepcopy(plain)
    return public


def public_manifest(manifest: Mapping[str, Any]) -> dict[str, Any]:
    """A manifest for everyone; all that makes or explains a number is as it was."""
    return {
        **manifest,
        "command": _public_command(manifest["command"]),
        "config": public_config(manifest["config"]),
        "machine": {**manifest["machine"], "host": _REDACTED},
    }


def public_yaml(text: str) -> str:
    """A `config.yaml` for everyone, as `public_config` has it."""
    return yaml.safe_dump(public_config(yaml.safe_load(text)))


def manifest_text(manifest: Mapping[str, Any]) -> str:
    """A manifest as the store writes it."""
    return json.dumps(manifest, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def public_page(page: str, manifest: Mapping[str, Any], config_yaml: str) -> str:
    """A `report.html` without what one run's manifest and configuration say of the machine.

    Args:
        page: The page.
        manifest: Of the run, as it lies in the store.
        config_yaml: The run's `config.yaml`, likewise, which the page quotes.
    """
    host = manifest["machine"]["host"]
    for private, public in (
        (manifest["command"], _public_command(manifest["command"])),
        (config_yaml.strip(), public_yaml(config_yaml).strip()),
        (f"host {host};", f"host {_REDACTED};"),
    ):
        page = page.replace(str(escape(private)), str(escape(public)))
    return page
