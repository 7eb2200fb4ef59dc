"""Write data/ and sample.json out of the set that comes with scikit-learn."""

import csv
import json
from pathlib import Path

from sklearn.datasets import load_breast_cancer
from sklearn.model_selection import train_test_split

HERE = Path(__file__).parent


def write(folder: Path, header: list[str], rows: list[list]) -> None:
    """Write one channel."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / f"{folder.name}.csv").open("w", newline="", encoding="utf-8") as stream:
        csv.writer(stream, lineterminator="\n").writerows([header, *rows])


def main(root: Path = HERE) -> None:
    """Split the set into three quarters for training and one for testing."""
    bunch = load_breast_cancer()
    columns = [name.replace(" ", "_") for name in bunch.feature_names]
    rows = [
        [str(bunch.target_names[kind]), *(float(value) for value in values)]
        for kind, values in zip(bunch.target, bunch.data)
    ]
    train, test = train_test_split(rows, test_size=0.25, stratify=bunch.target, random_state=7)
    header = ["diagnosis", *columns]
    write(root / "data" / "train", header, train)
    write(root / "data" / "test", header, test)
    sample = {"instances": [dict(zip(columns, row[1:])) for row in test[:2]]}
    (root / "sample.json").write_text(json.dumps(sample, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
