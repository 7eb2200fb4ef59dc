"""Serve the trained regression over HTTP."""

import argparse
import json
import logging
import os
import sys
from pathlib import Path

import joblib
import numpy as np

from server import Rows, Server


class Predictor:
    """A trained model, and what it knows of itself."""

    def __init__(self, folder: Path):
        saved = joblib.load(folder / "model.joblib")
        self.model = saved["model"]
        self.columns: list[str] = saved["columns"]
        about = folder / "towline.json"  # absent when trained by hand
        self.about = json.loads(about.read_text(encoding="utf-8")) if about.exists() else {}

    def answer(self, rows: Rows) -> dict:
        """Answer one number for each row: progression after a year."""
        values = self.model.predict(np.array(rows))
        return {"predictions": [round(float(value), 3) for value in values], "model": self.about}


def main():
    """Load the model, then serve until SIGTERM."""
    env = os.environ
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model-dir", type=Path, default=env.get("SM_MODEL_DIR", "out/model"))
    parser.add_argument("--host", default="0.0.0.0", help="SageMaker calls from outside")
    parser.add_argument("--port", type=int, default=env.get("SAGEMAKER_BIND_TO_PORT", "8080"))
    options = parser.parse_args()

    level = env.get("LOG_LEVEL", "info").upper()
    logging.basicConfig(stream=sys.stdout, level=level, format="%(levelname)s %(message)s")
    predictor = Predictor(options.model_dir)
    Server(options.host, options.port, predictor.columns, predictor.answer).run()


if __name__ == "__main__":
    main()
