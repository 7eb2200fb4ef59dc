"""What training must hold."""

import json
from pathlib import Path

import pytest

import dataset
import make_data
import train

ROOT = Path(__file__).parent.parent


def test_training_writes_a_model_and_its_evaluation(trained):
    """The gate reads this file."""
    evaluation = json.loads((trained / "evaluation" / "evaluation.json").read_text())
    assert evaluation["metrics"]["f1"] > 0.9
    matrix = evaluation["confusion_matrix"]
    assert matrix["labels"] == ["benign", "malignant"]
    assert sum(map(sum, matrix["matrix"])) == 143
    assert (trained / "model" / "model.joblib").exists()


def test_too_strong_a_penalty_lowers_f1():
    """The gate must have something to refuse."""
    _, features, truth = dataset.read_channel(ROOT / "data" / "train", train.TARGET)
    _, test_features, test_truth = dataset.read_channel(ROOT / "data" / "test", train.TARGET)
    scores = {}
    for l2 in (5, 50, 1000):
        model = train.build(l2, iterations=500, seed=7).fit(features, truth)
        scores[l2] = train.evaluate(model, test_features, test_truth)["metrics"]["f1"]
    assert scores[5] > scores[50] > 0.9 > scores[1000]


def test_the_data_come_out_of_the_script(tmp_path):
    """The files of this repository are what make_data.py writes."""
    make_data.main(tmp_path)
    written = sorted(path.relative_to(tmp_path) for path in tmp_path.rglob("*.*"))
    assert [str(path) for path in written] == [
        "data/test/test.csv",
        "data/train/train.csv",
        "sample.json",
    ]
    for path in written:
        assert (tmp_path / path).read_bytes() == (ROOT / path).read_bytes()


@pytest.mark.parametrize(
    ("files", "problem"),
    [
        ({}, "no CSV file"),
        ({"a.csv": ""}, "a.csv is empty"),
        ({"a.csv": "x,y\n"}, "no rows"),
        ({"a.csv": "x,z\n1,2\n"}, "no column 'y'"),
        ({"a.csv": "x,y\n1\n"}, "a.csv:2: 1 values, not 2"),
        ({"a.csv": "x,y\n1,2\n", "b.csv": "y,x\n1,2\n"}, "different columns"),
    ],
)
def test_broken_data_are_named(tmp_path, files, problem):
    """An error says which file, and what is wrong with it."""
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    with pytest.raises((ValueError, FileNotFoundError), match=problem):
        dataset.read_channel(tmp_path, "y")
