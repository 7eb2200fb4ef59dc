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
    assert evaluation["metrics"]["rmse"] < 58
    assert len(evaluation["residuals"]) == 111
    assert (trained / "model" / "model.joblib").exists()


def test_too_strong_a_penalty_raises_the_error():
    """The gate must have something to refuse."""
    _, features, truth = dataset.read_channel(ROOT / "data" / "train", train.TARGET)
    _, test_features, test_truth = dataset.read_channel(ROOT / "data" / "test", train.TARGET)
    errors = {}
    for alpha in (1, 100, 10_000):
        model = train.build(alpha, seed=7).fit(features, truth.astype(float))
        measured = train.evaluate(model, test_features, test_truth.astype(float))
        errors[alpha] = measured["metrics"]["rmse"]
    assert errors[100] < errors[1] < 58 < errors[10_000]


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
