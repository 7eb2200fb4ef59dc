"""Train a regression that foretells how far diabetes progresses in a year, and measure it.

Runs on SageMaker, where the SM_* variables name the folders, and by hand.
"""

import argparse
import json
import os
from pathlib import Path

import joblib
import numpy as np
from sklearn.linear_model import Ridge
from sklearn.metrics import mean_absolute_error, r2_score, root_mean_squared_error
from sklearn.model_selection import KFold, cross_val_score
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from dataset import read_channel

TARGET = "progression"


def parse_arguments(arguments: list[str] | None = None) -> argparse.Namespace:
    """Read hyperparameters and folders from the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--alpha", type=float, default=1.0, help="strength of the L2 penalty")
    parser.add_argument("--seed", type=int, default=7, help="seed of everything random")
    parser.add_argument("--train", type=Path, default=folder("SM_CHANNEL_TRAIN", "data/train"))
    add_folders(parser)
    options = parser.parse_args(arguments)
    if options.alpha < 0:
        parser.error("--alpha must not be negative")
    return options


def add_folders(parser: argparse.ArgumentParser) -> None:
    """Take the folders that evaluate.py needs too."""
    parser.add_argument("--test", type=Path, default=folder("SM_CHANNEL_TEST", "data/test"))
    parser.add_argument("--model-dir", type=Path, default=folder("SM_MODEL_DIR", "out/model"))
    parser.add_argument(
        "--output-dir", type=Path, default=folder("SM_OUTPUT_DATA_DIR", "out/evaluation")
    )


def folder(variable: str, default: str) -> str:
    """Name the folder that SageMaker's container gives, or one beside the code."""
    return os.environ.get(variable, default)


def build(alpha: float, seed: int) -> Pipeline:
    """Make the untrained model."""
    return make_pipeline(StandardScaler(), Ridge(alpha=alpha, random_state=seed))


def cross_validate(model: Pipeline, features: np.ndarray, truth: np.ndarray, seed: int):
    """Measure the root mean squared error on five parts of the training data."""
    folds = KFold(5, shuffle=True, random_state=seed)
    scoring = "neg_root_mean_squared_error"
    return -cross_val_score(model, features, truth, cv=folds, scoring=scoring)


def evaluate(model: Pipeline, features: np.ndarray, truth: np.ndarray) -> dict:
    """Measure a trained model on rows that it has not seen."""
    guess = model.predict(features)
    return {
        "metrics": {
            "mae": mean_absolute_error(truth, guess),
            "r2": r2_score(truth, guess),
            "rmse": root_mean_squared_error(truth, guess),
        },
        "residuals": [round(value, 6) for value in (truth - guess).tolist()],
    }


def save_model(target: Path, model: Pipeline, columns: list[str]) -> None:
    """Write what serve.py loads."""
    target.mkdir(parents=True, exist_ok=True)
    joblib.dump({"model": model, "columns": columns}, target / "model.joblib")


def save_evaluation(target: Path, evaluation: dict) -> None:
    """Write what the gate reads."""
    target.mkdir(parents=True, exist_ok=True)
    report = json.dumps(evaluation, indent=2) + "\n"
    (target / "evaluation.json").write_text(report, encoding="utf-8")


def main(arguments: list[str] | None = None) -> None:
    """Train, measure, and write the model and its evaluation."""
    options = parse_arguments(arguments)
    columns, features, text = read_channel(options.train, TARGET)
    test_columns, test_features, test_text = read_channel(options.test, TARGET)
    if test_columns != columns:
        raise SystemExit("the training and the test data have different columns")
    truth, test_truth = text.astype(float), test_text.astype(float)
    print(f"{len(truth)} rows to train on, {len(test_truth)} to test on, {len(columns)} columns")

    model = build(options.alpha, options.seed)
    errors = cross_validate(model, features, truth, options.seed)
    print(f"cross-validation rmse {errors.mean():.2f} +- {errors.std():.2f}")

    model.fit(features, truth)
    evaluation = evaluate(model, test_features, test_truth)
    for name, value in evaluation["metrics"].items():
        print(f"{name} {value:.4f}")

    save_model(options.model_dir, model, columns)
    save_evaluation(options.output_dir, evaluation)


if __name__ == "__main__":
    main()
