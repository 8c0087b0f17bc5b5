"""Names that become names of folders."""

from observatory.core.errors import ConfigError

LONGEST = 120
"""Most bytes of a name: a file system takes 255, of which what is added to it needs some."""


def check_plain_name(setting: str, name: str) -> None:
    """Refuse a name that is not one of a folder, and of no place elsewhere.

    Raises:
        ConfigError: If it is empty, hidden, too long, or has a separator or a control character.

    Example:
        >>> check_plain_name("study", "laptop_map")
    """
    if any(letter in name for letter in '/\\:*?"<>|') or not name.isprintable():
        rule = 'be one plain name, without / \\ : * ? " < > | and control characters'
    elif not name or name.startswith((".", "~", "-", " ")) or name.endswith(" "):
        rule = "not be empty, not begin with `.`, `~` or `-`, and have no space at its ends"
    elif len(name.encode(errors="replace")) > LONGEST:
        rule = f"have at most {LONGEST} bytes"
    else:
        return
    shown = name if len(name) <= LONGEST else f"{name[:20]}..."
    raise ConfigError(f"`{setting}` must {rule}: it names a folder, got {shown!r}.")


def check_folder(setting: str, path: str) -> None:
    """Refuse a path that cannot be one of a folder.

    Raises:
        ConfigError: If it is empty, too long, or has a control character.
    """
    if not path.strip() or not path.isprintable() or len(path.encode(errors="replace")) > 2000:
        raise ConfigError(
            f"`{setting}` must be the path of a folder, without control characters, got "
            f"{path[:80]!r}."
        )
