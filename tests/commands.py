"""Commands as a user starts them: processes of their own, which may be killed as a group."""

import subprocess
import sys


def start(*arguments: str) -> subprocess.Popen[str]:
    """`observatory` with these arguments."""
    return subprocess.Popen(
        [sys.executable, "-m", "observatory.cli", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def finish(process: subprocess.Popen[str]) -> str:
    """What it printed, once it has ended well."""
    out, err = process.communicate(timeout=500)
    assert process.returncode == 0, err
    return out
