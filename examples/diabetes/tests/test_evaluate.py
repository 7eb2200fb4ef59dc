"""What measuring once more must hold."""

import pytest

import evaluate

BROKEN = "progression,width\n100,1\n"


def test_the_same_data_give_the_same_evaluation(trained, tmp_path):
    """The gate may compare the two."""
    evaluate.main(["--model-dir", str(trained / "model"), "--output-dir", str(tmp_path)])
    again = (tmp_path / "evaluation.json").read_bytes()
    assert again == (trained / "evaluation" / "evaluation.json").read_bytes()


def test_other_columns_are_refused(trained, tmp_path):
    """Metrics of shifted columns would be numbers without a meaning."""
    (tmp_path / "test.csv").write_text(BROKEN, encoding="utf-8")
    with pytest.raises(SystemExit, match="other columns"):
        evaluate.main(["--model-dir", str(trained / "model"), "--test", str(tmp_path)])
