"""Learn the mean of a column, with the standard library alone."""

import argparse
import json
import os
from pathlib import Path

parser = argparse.ArgumentParser()
parser.add_argument("--shift", type=float, default=0.0)
options = parser.parse_args()

data = Path(os.environ["SM_CHANNEL_TRAIN"])
values = [float(line) for line in (data / "values.txt").read_text().split()]
mean = sum(values) / len(values) + options.shift
error = sum(abs(value - mean) for value in values) / len(values)
print(f"mean {mean:g}, error {error:g}")

Path(os.environ["SM_MODEL_DIR"], "mean.json").write_text(json.dumps({"mean": mean}))
Path(os.environ["SM_OUTPUT_DATA_DIR"], "evaluation.json").write_text(
    json.dumps({"metrics": {"error": error}})
)
