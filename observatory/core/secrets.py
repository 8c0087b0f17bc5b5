"""Passwords and tokens, kept out of everything that is written or printed."""

import re
from collections.abc import Mapping
from typing import Any, cast

_HIDDEN = "***"
_WORDS = (
    r"(?:\w*(?:password|passwd|passphrase|secret|token|api_?key|access_?key|credentials?|signature)"
    r"|pass|pwd|sig|auth)"
)
_USER = re.compile(r"(\w[\w+.-]*://[^\s/:@'\"]*):[^\s'\"]*@")
_ALONE = re.compile(r"(https?://)[^\s/:@'\"]+@")
_NAMED = re.compile(rf"((?<!\w){_WORDS}=)[^\s&;'\",\]}}]+", re.IGNORECASE)


def without_secrets(text: str) -> str:
    """A text without the passwords and tokens of the addresses in it.

    Example:
        >>> without_secrets("postgresql://me:secret@host/db?sslpassword=x")
        'postgresql://me:***@host/db?sslpassword=***'
        >>> without_secrets("https://ghp_x1@host/a?access_token=b&page=2")
        'https://***@host/a?access_token=***&page=2'
    """
    text = _USER.sub(rf"\1:{_HIDDEN}@", text)
    text = _ALONE.sub(rf"\1{_HIDDEN}@", text)
    return _NAMED.sub(rf"\1{_HIDDEN}", text)


def redacted(values: Any) -> Any:
    """Plain values, every text in them without secrets."""
    if isinstance(values, str):
        return without_secrets(values)
    if isinstance(values, Mapping):
        return {name: redacted(value) for name, value in cast(Mapping[Any, Any], values).items()}
    if isinstance(values, list | tuple):
        entries = [redacted(value) for value in cast(list[Any], values)]
        return tuple(entries) if isinstance(values, tuple) else entries
    return values
