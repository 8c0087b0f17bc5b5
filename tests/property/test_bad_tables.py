"""Tables that were damaged, cut, mistyped or never were any: a sentence or an answer, no traceback.

What is changed, and how, is drawn with a fixed seed. A refusal is an `ObservatoryError`; any other
error is a traceback that a user would see.
"""

import json
import random
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from observatory import fits
from observatory.core.errors import ObservatoryError

N_TABLES = 240
COUNTS = [["weight_decay", "n", "n_grokked"]] + [
    [w, "8", k]
    for w, k in zip(
        ("0.01", "0.02", "0.05", "0.1", "0.2", "0.5"), ("0", "1", "2", "5", "8", "8"), strict=True
    )
]
RUNS = [["weight_decay", "seed", "grokked", "t_lo", "time", "watched", "outcome"]] + [
    [str(w), str(seed), "1", str(t - 25), str(t), "3000", "grokked"]
    if (t := int(25 * (300 / w * (1 + 0.2 * seed) // 25))) <= 3000
    else [str(w), str(seed), "0", "", "", "3000", "memorised"]
    for w in (0.05, 0.1, 0.15, 0.2, 0.5, 1.0)
    for seed in range(4)
]
QUICK: dict[str, tuple[Callable[..., Any], dict[str, Any]]] = {
    "boundary": (fits.boundary, {"estimator": "lsq", "settings": {"n_studies": 0}}),
    "times": (fits.times, {}),
    "survival": (fits.survival, {}),
}
CELLS = (
    *("1e308", "-1e308", "1e-320", "1e400", "NaN", "inf", "-inf", "-0.0", "0", str(10**30), "-7"),
    *("0x10", "1_000", "1e5e5", "yes", "maybe", "85 %", "8/8", "12 200", "1.234,5", "2026-11-30"),
    *(
        "TRUE",
        "None",
        "[1, 2]",
        "{'a': 1}",
        "=A1+1",
        "#REF!",
        "\u22120.1",
        "\u0661",
        "1e",
        "--",
        "+",
    ),
    *("9" * 5000, " ", "'", "0.1 0.2", "1,5", "nan", "true", "0.30000000000000004", "5e-324"),
)
"""What may stand in a cell."""
Rows = list[list[str]]


def written(rows: Rows, separator: str = ",") -> bytes:
    return "\n".join(separator.join(row) for row in rows).encode()


def _cells(rng: random.Random, rows: Rows) -> bytes:
    """One cell, or a whole column, of another kind."""
    column, text = rng.randrange(len(rows[0])), rng.choice(CELLS)
    some = [rng.randrange(1, len(rows))] if rng.random() < 0.6 else range(1, len(rows))
    for row in some:
        rows[row][column] = text
    return written(rows, rng.choice((",", ";", "\t")))


def _columns(rng: random.Random, rows: Rows) -> bytes:
    """Columns that are missing, twice, without a name, or under another one."""
    at, end = rng.randrange(len(rows[0])), rng.randrange(5)
    for row in rows:
        if end == 0:
            del row[at]
        elif end == 1:
            row.insert(at, row[at])
    if end > 1:
        rows[0][at] = rng.choice(("", " ", "nan", "1", "a b", '"x', "seed", "time", "weight", "n"))
    return written(rows)


def _ragged(rng: random.Random, rows: Rows) -> bytes:
    """Rows of unequal length, of another separator, or in an open quote."""
    for row in rng.sample(rows, 3):
        match rng.randrange(4):
            case 0:
                row.pop()
            case 1:
                row += ["7"] * rng.randrange(1, 4)
            case 2:
                row[0] = f'"{row[0]}'
            case _:
                row[:] = [rng.choice((";", "|", "\t", " ")).join(row)]
    return written(rows)


def _separators(rng: random.Random, rows: Rows) -> bytes:
    return written(rows, rng.choice(("|", ":", " ", "  ", ";;", "\t\t", "", ", ", "\r", "=", "#")))


def _lengths(rng: random.Random, rows: Rows) -> bytes:
    """Few rows or none, none but comments, and the header again in the middle."""
    keep = rng.choice((0, 1, 2, 3))
    made = rows[:keep] if rng.random() < 0.6 else [*rows[:4], rows[0], *rows[4:]]
    return rng.choice((b"", b"\n\n", b"# no more\n", b"sep=,\n")) + written(made)


def _orders(rng: random.Random, rows: Rows) -> bytes:
    """Numbers that cannot be: more grokked than ran, times before their last look, all alike."""
    for row in rows[1:]:
        if len(row) == 3:
            row[1:] = rng.choice((["8", "9"], ["-1", "0"], ["0", "0"], ["8.5", "1"], ["8", "8"]))
        else:
            row[3:6] = rng.choice((["500", "100", "3000"], ["0", "-5", ""], ["", "9", "5"]))
    if rng.random() < 0.3:
        for row in rows[1:]:
            row[0] = rng.choice(("1e-300", "1e300", "0.1", "0"))
    return written(rows)


def _bytes(rng: random.Random, rows: Rows) -> bytes:
    """Cut, flipped, with zeros, in another encoding, or no text at all."""
    whole = written(rows)
    at = rng.randrange(1, len(whole))
    match rng.randrange(9):
        case 0:
            return whole[:at]
        case 1:
            return whole[:at] + bytes([whole[at] ^ 255]) + whole[at + 1 :]
        case 2:
            return whole[:at] + b"\0" + whole[at:]
        case 3:
            return whole.decode().encode(rng.choice(("utf-16-le", "utf-16-be", "utf-32", "utf-7")))
        case 4:
            return whole.replace(b"weight", "Gr\xf6\xdfe".encode("latin-1"))
        case 5:
            return rng.randbytes(rng.randrange(1, 3000))
        case 6:
            return (
                rng.choice((b"\xff\xfe", b"\xfe\xff", b"\xef\xbb\xbf", b"\x1f\x8b", b"PK\3\4"))
                + whole
            )
        case 7:
            return whole.replace(b"0.1", b"9" * 10**6)
        case _:
            return b",".join(b"c%d" % i for i in range(3000)) + b"\n" + b",".join([b"1"] * 3000)


def _json(rng: random.Random, rows: Rows) -> bytes:
    """JSON of other shapes, too deep, or with odd values."""
    records: list[Any] = [dict(zip(rows[0], row, strict=True)) for row in rows[1:]]
    odd = rng.choice((None, [], {}, [[1]], {"a": {"b": 1}}, 10**400, True, "x", float("nan")))
    match rng.randrange(8):
        case 0:
            return (b"[" if rng.random() < 0.5 else b'{"a":') * 10**5
        case 1:
            records[rng.randrange(len(records))] = odd
        case 2:
            records[0][rng.choice(rows[0])] = odd
        case 3:
            return json.dumps({"runs": records}).encode()
        case 4:
            return json.dumps(rows).encode()
        case 5:
            return "\n".join(map(json.dumps, [*records, odd])).encode()
        case 6:
            return json.dumps(records).encode()[: rng.randrange(2, 400)]
        case _:
            return json.dumps({name: {"0": 1} for name in rows[0]}).encode()
    return json.dumps(records).encode()


def _parquet(rng: random.Random, rows: Rows) -> bytes:
    """Columns of nested and other types, or a file cut short."""
    n = len(rows) - 1
    column: list[Any] = rng.choice(
        (
            [[1, 2]] * n,
            [{"a": 1}] * n,
            [b"\xff"] * n,
            [None] * n,
            [True] * n,
            list(pd.date_range("2026-01-01", periods=n)),
            [pd.Timedelta(days=1)] * n,
            [10**18] * n,
        )
    )
    frame = pd.DataFrame(rows[1:], columns=rows[0]).apply(pd.to_numeric, errors="coerce")
    columns: dict[str, Any] = {str(name): pa.array(frame[name]) for name in frame}
    columns[rng.choice(rows[0])] = pa.array(column)
    if rng.random() < 0.3:
        columns[rng.choice(rows[0])] = pa.array([["x"], None] * n)[:n]
    sink = pa.BufferOutputStream()
    pq.write_table(pa.table(columns), sink)
    whole = sink.getvalue().to_pybytes()
    return whole if rng.random() < 0.7 else whole[: rng.randrange(4, len(whole))]


KINDS = (_cells, _columns, _ragged, _separators, _lengths, _orders, _bytes, _json, _parquet)


def bad_tables(n: int, seed: int = 0) -> Iterator[tuple[str, str, bytes]]:
    """What was done, the question that is put, and the file."""
    rng = random.Random(seed)
    for number in range(n):
        kind, counted = KINDS[number % len(KINDS)], rng.random() < 0.5
        content = kind(rng, [list(row) for row in (COUNTS if counted else RUNS)])
        question = "boundary" if counted else rng.choice(list(QUICK))
        yield f"{number} {kind.__name__[1:]}", question, content


def put(question: str, path: Path) -> str:
    """ "answered" or "refused"; every other error is raised."""
    ask, options = QUICK[question]
    try:
        ask(path, **options, horizon_steps=3000, n_bootstrap=20)
    except ObservatoryError:
        return "refused"
    return "answered"


@pytest.mark.slow
def test_a_bad_table_is_refused_or_answered_never_a_traceback(tmp_path: Path) -> None:
    """The name of the file says what was done; a folder and no file at all are refused as well."""
    found: Counter[str] = Counter()
    for what, question, content in bad_tables(N_TABLES):
        path = tmp_path / what
        path.write_bytes(content)
        found[put(question, path)] += 1
    assert put("boundary", tmp_path) == put("boundary", tmp_path / "none") == "refused"
    assert found["refused"] > N_TABLES // 2
    assert found["answered"] > 10
