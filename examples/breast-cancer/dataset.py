"""The columns of a data set, and its rows as arrays."""

import csv
from pathlib import Path

import numpy as np


def read_channel(folder: Path, target: str) -> tuple[list[str], np.ndarray, np.ndarray]:
    """Read every CSV file of a folder, in the order of their names.

    Returns the names of the feature columns, the features (rows x columns) and
    the target column as text. All files must have the same header.
    """
    files = sorted(folder.glob("*.csv"))
    if not files:
        raise FileNotFoundError(f"no CSV file in {folder}")
    header, rows = read_csv(files[0])
    for file in files[1:]:
        other, more = read_csv(file)
        if other != header:
            raise ValueError(f"{file.name} and {files[0].name} have different columns")
        rows += more
    if target not in header:
        raise ValueError(f"no column {target!r} in {files[0].name}")
    if not rows:
        raise ValueError(f"no rows in {folder}")
    at = header.index(target)
    columns = [name for name in header if name != target]
    features = np.array([row[:at] + row[at + 1 :] for row in rows], dtype=float)
    return columns, features, np.array([row[at] for row in rows])


def read_csv(file: Path) -> tuple[list[str], list[list[str]]]:
    """Read the header and the rows of one file."""
    with file.open(newline="", encoding="utf-8") as stream:
        lines = list(csv.reader(stream))
    if not lines:
        raise ValueError(f"{file.name} is empty")
    header, rows = lines[0], lines[1:]
    for number, row in enumerate(rows, start=2):
        if len(row) != len(header):
            raise ValueError(f"{file.name}:{number}: {len(row)} values, not {len(header)}")
    return header, rows
