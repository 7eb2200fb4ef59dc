"""What the tests share."""

from pathlib import Path

import pytest

import train

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="session", name="trained")
def fixture_trained(tmp_path_factory) -> Path:
    """Train once; answers the folder with model/ and evaluation/."""
    out = tmp_path_factory.mktemp("out")
    folders = {
        "--train": ROOT / "data" / "train",
        "--test": ROOT / "data" / "test",
        "--model-dir": out / "model",
        "--output-dir": out / "evaluation",
    }
    train.main([text for pair in folders.items() for text in map(str, pair)])
    return out
