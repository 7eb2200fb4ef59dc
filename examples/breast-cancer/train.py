"""Train a classifier that tells malignant from benign tumours, and measure it.

Runs on SageMaker, where the SM_* variables name the folders, and by hand.
"""

import argparse
import json
import os
from pathlib import Path

import joblib
import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import (
    accuracy_score,
    confusion_matrix,
    f1_score,
    precision_score,
    recall_score,
    roc_auc_score,
)
from sklearn.model_selection import StratifiedKFold, cross_val_score
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from dataset import read_channel

TARGET = "diagnosis"
LABELS = ["benign", "malignant"]
POSITIVE = "malignant"


def parse_arguments(arguments: list[str] | None = None) -> argparse.Namespace:
    """Read hyperparameters and folders from the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--l2", type=float, default=50.0, help="strength of the L2 penalty")
    parser.add_argument("--iterations", type=int, default=500, help="most steps of the solver")
    parser.add_argument("--seed", type=int, default=7, help="seed of everything random")
    parser.add_argument("--train", type=Path, default=folder("SM_CHANNEL_TRAIN", "data/train"))
    add_folders(parser)
    options = parser.parse_args(arguments)
    if options.l2 <= 0:
        parser.error("--l2 must be positive")
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


def build(l2: float, iterations: int, seed: int) -> Pipeline:
    """Make the untrained model."""
    return make_pipeline(
        StandardScaler(),
        LogisticRegression(C=1 / l2, max_iter=iterations, random_state=seed),
    )


def cross_validate(model: Pipeline, features: np.ndarray, truth: np.ndarray, seed: int):
    """Measure f1 on five parts of the training data."""
    folds = StratifiedKFold(5, shuffle=True, random_state=seed)
    return cross_val_score(model, features, truth == POSITIVE, cv=folds, scoring="f1")


def evaluate(model: Pipeline, features: np.ndarray, truth: np.ndarray) -> dict:
    """Measure a trained model on rows that it has not seen."""
    guess = model.predict(features)
    chance = model.predict_proba(features)[:, list(model.classes_).index(POSITIVE)]
    scored = {"pos_label": POSITIVE, "zero_division": 0}
    return {
        "metrics": {
            "accuracy": accuracy_score(truth, guess),
            "f1": f1_score(truth, guess, **scored),
            "precision": precision_score(truth, guess, **scored),
            "recall": recall_score(truth, guess, **scored),
            "roc_auc": roc_auc_score(truth == POSITIVE, chance),
        },
        "confusion_matrix": {
            "labels": LABELS,
            "matrix": confusion_matrix(truth, guess, labels=LABELS).tolist(),
        },
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
    columns, features, truth = read_channel(options.train, TARGET)
    test_columns, test_features, test_truth = read_channel(options.test, TARGET)
    if test_columns != columns:
        raise SystemExit("the training and the test data have different columns")
    print(f"{len(truth)} rows to train on, {len(test_truth)} to test on, {len(columns)} columns")

    model = build(options.l2, options.iterations, options.seed)
    scores = cross_validate(model, features, truth, options.seed)
    print(f"cross-validation f1 {scores.mean():.4f} +- {scores.std():.4f}")

    model.fit(features, truth)
    evaluation = evaluate(model, test_features, test_truth)
    for name, value in evaluation["metrics"].items():
        print(f"{name} {value:.4f}")

    save_model(options.model_dir, model, columns)
    save_evaluation(options.output_dir, evaluation)


if __name__ == "__main__":
    main()
