"""Measure a trained regression once more, on rows that came after its training.

Runs when this model serves and a later one was measured on other test data.
"""

import argparse

import joblib

from dataset import read_channel
from train import TARGET, add_folders, evaluate, save_evaluation


def main(arguments: list[str] | None = None) -> None:
    """Read the model and the test data, and write the evaluation."""
    parser = argparse.ArgumentParser(description=__doc__)
    add_folders(parser)
    options = parser.parse_args(arguments)

    saved = joblib.load(options.model_dir / "model.joblib")
    columns, features, text = read_channel(options.test, TARGET)
    if columns != saved["columns"]:
        raise SystemExit("the model was trained on other columns than the test data has")
    evaluation = evaluate(saved["model"], features, text.astype(float))
    for name, value in evaluation["metrics"].items():
        print(f"{name} {value:.4f}")
    save_evaluation(options.output_dir, evaluation)


if __name__ == "__main__":
    main()
