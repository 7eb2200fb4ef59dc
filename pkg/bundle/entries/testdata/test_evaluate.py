import io
import json
import os
import tarfile

from image import ImageTest

MEASURE = """
import json, os
model = os.environ["SM_MODEL_DIR"]
weights = open(model + "/parts/weights").read()
rows = open(os.environ["SM_CHANNEL_TEST"] + "/rows").read()
with open(os.environ["SM_OUTPUT_DATA_DIR"] + "/evaluation.json", "w") as file:
    json.dump([weights, rows, sorted(os.listdir(model)), os.getcwd()], file)
"""


class EvaluateTest(ImageTest):
    entry = "evaluate"
    besides = ("train",)

    def setUp(self):
        super().setUp()
        self.write("/opt-ml/input/data/test/rows", "rows")
        os.makedirs(self.ml + "/model")

    def pack(self, *members, name="model.tar.gz"):
        """Put an archive of names and contents into the model's channel."""
        folder = self.ml + "/input/data/towline-model"
        os.makedirs(folder, exist_ok=True)
        with tarfile.open(folder + "/" + name, "w:gz") as tar:
            for member, content in members:
                info = tarfile.TarInfo(member)
                info.size = len(content)
                tar.addfile(info, io.BytesIO(content))

    def failure(self):
        return self.read("output/failure")


class MeasureTest(EvaluateTest):
    def test_the_command_finds_the_model_and_the_data(self):
        self.pack(("parts/weights", b"weights"), ("towline.json", b"{}"))
        self.program(MEASURE)
        self.assertEqual(self.run_entry(), (0, "", ""))
        found = json.loads(self.read("output/data/evaluation.json"))
        self.assertEqual(found, ["weights", "rows", ["parts", "towline.json"], self.root + "/opt/program"])

    def test_the_model_is_not_kept_twice(self):
        self.pack(("parts/weights", b"weights"), ("top", b""))
        self.program(MEASURE)
        self.run_entry()
        self.assertEqual(os.listdir(self.ml + "/model"), [])

    def test_nothing_is_written_beside_the_programs(self):
        self.pack(("parts/weights", b"weights"))
        self.program(MEASURE)
        self.run_entry()
        self.assertEqual(sorted(os.listdir(self.root + "/opt/towline/bin")), ["evaluate", "train"])

    def test_a_module_of_the_model_does_not_stand_in_for_the_library(self):
        for name in ("json", "tarfile", "train"):
            self.write(f"/opt/program/{name}.py", "raise SystemExit('the wrong module')")
        self.pack(("a", b""))
        self.program("")
        code, _, err = self.run_entry(PYTHONPATH=self.root + "/opt/program")
        self.assertEqual((code, err), (0, ""))


class EndTest(EvaluateTest):
    def test_a_failure_keeps_the_last_lines_of_stderr(self):
        self.pack(("a", b""))
        self.program("raise ValueError('no column price')")
        code, _, err = self.run_entry()
        self.assertEqual(code, 1)
        self.assertEqual(self.failure(), err.strip())
        self.assertEqual(os.listdir(self.ml + "/model"), [])

    def test_a_silent_failure_is_described(self):
        self.pack(("a", b""))
        self.program("import sys; sys.exit(3)")
        self.assertEqual(self.run_entry(), (3, "", ""))
        self.assertEqual(self.failure(), "python program.py: exit code 3, and nothing on stderr")

    def test_a_command_that_is_not_there(self):
        self.pack(("a", b""))
        self.configure({"evaluate": ["nothing-here"], "train": ["x"], "python": "3.11", "model": "risk"})
        code, _, err = self.run_entry()
        self.assertEqual((code, err), (127, "evaluate: nothing-here: No such file or directory\n"))

    def test_an_image_without_the_command(self):
        self.configure({"train": ["python", "program.py"], "python": "3.11", "model": "risk"})
        want = "this image has no evaluate command"
        self.assertEqual(self.run_entry(), (1, "", "evaluate: " + want + "\n"))
        self.assertEqual(self.failure(), want)

    def test_no_model(self):
        self.program(MEASURE)
        code, _, err = self.run_entry()
        self.assertEqual(code, 1)
        self.assertIn("evaluate: find the model: ", err)

    def test_two_models(self):
        self.pack(("a", b""))
        self.pack(("a", b""), name="other.tar.gz")
        want = "find the model: 2 archives in the channel towline-model, wanted one"
        self.assertEqual(self.run_entry(), (1, "", "evaluate: " + want + "\n"))

    def test_an_archive_that_is_none(self):
        self.write("/opt-ml/input/data/towline-model/model.tar.gz", "no archive")
        code, _, err = self.run_entry()
        self.assertEqual(code, 1)
        self.assertIn("evaluate: unpack the model: ", err)

    def test_an_archive_that_leads_elsewhere(self):
        self.pack(("../escaped", b"x"))
        self.program("")
        self.run_entry()
        self.assertFalse(os.path.exists(self.ml + "/escaped"))
