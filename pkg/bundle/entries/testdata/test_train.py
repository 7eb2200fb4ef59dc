import json
import os
import signal
import subprocess
import sys
import time
import unittest

from image import ImageTest

SAVE = "import os; open(os.environ['SM_MODEL_DIR'] + '/model.bin', 'w').write('weights')\n"
TELL = SAVE + "import json, sys; print(json.dumps([sys.argv[1:], dict(os.environ), os.getcwd(), sys.path]))\n"


class TrainTest(ImageTest):
    entry = "train"

    def hyperparameters(self, **values):
        self.write("/opt-ml/input/config/hyperparameters.json", json.dumps(values))

    def told(self, **more):
        """What a program that tells its surroundings told."""
        self.program(TELL)
        code, out, err = self.run_entry(**more)
        self.assertEqual((code, err), (0, ""))
        return json.loads(out)

    def failure(self):
        return self.read("output/failure")


class ContractTest(TrainTest):
    def test_hyperparameters_are_arguments_and_variables(self):
        self.hyperparameters(depth="6", kernel='"rbf"', note="two words", flag="true", rates="[0.1, 0.2]")
        args, environ, _, _ = self.told()
        self.assertEqual(
            args,
            ["--depth", "6", "--flag", "true", "--kernel", "rbf", "--note", "two words", "--rates", "[0.1, 0.2]"],
        )
        self.assertEqual(environ["SM_HP_DEPTH"], "6")
        self.assertEqual(environ["SM_HP_KERNEL"], "rbf")
        self.assertEqual(environ["SM_HP_RATES"], "[0.1, 0.2]")
        values = {"depth": 6, "kernel": "rbf", "note": "two words", "flag": True, "rates": [0.1, 0.2]}
        self.assertEqual(json.loads(environ["SM_HPS"]), values)
        self.assertEqual(json.loads(environ["SM_TRAINING_ENV"])["hyperparameters"], values)

    def test_names_that_sagemaker_adds_are_not_the_models(self):
        self.hyperparameters(depth="6", sagemaker_program="x", _tuning_objective_metric="f1")
        args, environ, _, _ = self.told()
        self.assertEqual(args, ["--depth", "6"])
        self.assertEqual(json.loads(environ["SM_HPS"]), {"depth": 6})

    def test_a_name_becomes_a_variable(self):
        self.hyperparameters(**{"learning-rate.min": "0.1"})
        args, environ, _, _ = self.told()
        self.assertEqual(args, ["--learning-rate.min", "0.1"])
        self.assertEqual(environ["SM_HP_LEARNING_RATE_MIN"], "0.1")

    def test_no_configuration_is_an_empty_one(self):
        args, environ, _, _ = self.told()
        self.assertEqual(args, [])
        for name, want in {
            "SM_MODEL_DIR": self.ml + "/model",
            "SM_OUTPUT_DIR": self.ml + "/output",
            "SM_OUTPUT_DATA_DIR": self.ml + "/output/data",
            "SM_CHANNELS": "[]",
            "SM_HPS": "{}",
            "SM_HOSTS": '["algo-1"]',
            "SM_CURRENT_HOST": "algo-1",
            "PYTHONUNBUFFERED": "1",
        }.items():
            self.assertEqual(environ.get(name), want, name)
        self.assertGreater(int(environ["SM_NUM_CPUS"]), 0)
        self.assertGreaterEqual(int(environ["SM_NUM_GPUS"]), 0)
        self.assertTrue(os.path.isdir(self.ml + "/output/data"))

    def test_channels_come_from_their_configuration(self):
        self.write("/opt-ml/input/config/inputdataconfig.json", '{"train": {}, "hold-out": {}}')
        _, environ, _, _ = self.told()
        self.assertEqual(environ["SM_CHANNELS"], '["hold-out", "train"]')
        self.assertEqual(environ["SM_CHANNEL_TRAIN"], self.ml + "/input/data/train")
        self.assertEqual(environ["SM_CHANNEL_HOLD_OUT"], self.ml + "/input/data/hold-out")

    def test_channels_are_the_folders_where_nothing_is_configured(self):
        self.write("/opt-ml/input/data/train/data.csv", "1")
        _, environ, _, _ = self.told()
        self.assertEqual(environ["SM_CHANNELS"], '["train"]')

    def test_hosts_come_from_the_resources(self):
        self.write(
            "/opt-ml/input/config/resourceconfig.json", '{"current_host": "algo-1", "hosts": ["algo-1", "algo-2"]}'
        )
        _, environ, _, _ = self.told()
        self.assertEqual(json.loads(environ["SM_HOSTS"]), ["algo-1", "algo-2"])
        self.assertEqual(environ["SM_CURRENT_HOST"], "algo-1")

    def test_the_program_runs_in_its_folder_and_finds_its_packages(self):
        _, environ, folder, search = self.told(PYTHONPATH=self.root + "/opt/towline/lib:/more")
        program, library = self.root + "/opt/program", self.root + "/opt/towline/lib"
        self.assertEqual(folder, program)
        self.assertEqual(environ["PYTHONPATH"], f"{program}:{library}:/more")
        self.assertIn(library, search)

    def test_python_is_the_one_that_runs_the_entry(self):
        self.program(SAVE + "import sys; print(sys.executable)")
        self.assertEqual(self.run_entry(PATH="/nowhere")[:2], (0, sys.executable + "\n"))

    def test_a_module_of_the_model_does_not_stand_in_for_the_library(self):
        for name in ("json", "select", "signal"):
            self.write(f"/opt/program/{name}.py", "raise SystemExit('the wrong module')")
        self.program(SAVE)
        code, _, err = self.run_entry(PYTHONPATH=self.root + "/opt/program")
        self.assertEqual((code, err), (0, ""))

    def test_the_service_s_own_variables_are_kept(self):
        _, environ, _, _ = self.told(TRAINING_JOB_NAME="job-1", CUSTOM="x")
        self.assertEqual(environ["CUSTOM"], "x")
        self.assertEqual(json.loads(environ["SM_TRAINING_ENV"])["job_name"], "job-1")


class EndTest(TrainTest):
    def test_the_model_knows_itself(self):
        self.program(SAVE)
        code, _, _ = self.run_entry(
            TOWLINE_VERSION="1.2.3-dev.0",
            TOWLINE_IDENTITY="abc",
            TOWLINE_TRAINING_DATA="def",
            TRAINING_JOB_NAME="threats-risk",
        )
        self.assertEqual(code, 0)
        want = {
            "project": "threats",
            "model": "risk",
            "version": "1.2.3-dev.0",
            "identity": "abc",
            "training_data": "def",
            "training_job": "threats-risk",
        }
        self.assertEqual(json.loads(self.read("model/towline.json")), want)
        self.assertFalse(os.path.exists(self.ml + "/output/failure"))

    def test_variables_come_before_the_image_s_own_names(self):
        self.program(SAVE)
        self.run_entry(TOWLINE_PROJECT="other", TOWLINE_MODEL="name")
        self.assertEqual(json.loads(self.read("model/towline.json")), {"project": "other", "model": "name"})

    def test_a_failure_keeps_the_last_lines_of_stderr(self):
        self.program("import sys; print('early', file=sys.stderr); raise ValueError('no column price')")
        code, _, err = self.run_entry()
        self.assertEqual(code, 1)
        self.assertTrue(err.startswith("early\nTraceback"), err)
        self.assertEqual(self.failure(), err.strip())

    def test_only_whole_lines_that_fit_are_kept(self):
        self.program("import sys\nfor i in range(1000): print('line', i, 'x' * 50, file=sys.stderr)\nsys.exit(4)")
        code, _, err = self.run_entry()
        self.assertEqual((code, len(err.splitlines())), (4, 1000))
        kept = self.failure()
        self.assertLessEqual(len(kept), 1024)
        self.assertGreater(len(kept), 900)
        self.assertTrue(kept.startswith("line "))
        self.assertTrue(err.endswith(kept + "\n"))

    def test_of_one_long_line_the_beginning_is_kept(self):
        self.program("import sys; sys.exit('could not read: ' + 'x' * 5000)")
        self.run_entry()
        kept = self.failure()
        self.assertEqual(len(kept), 1024)
        self.assertTrue(kept.startswith("could not read: xxx"))
        self.assertTrue(kept.endswith("..."))

    def test_characters_count_and_not_bytes(self):
        self.program("import sys; sys.stderr.buffer.write(b'\\xc3\\xa9' * 1022 + b'\\n\\xff\\n'); sys.exit(1)")
        self.run_entry()
        with open(self.ml + "/output/failure", encoding="utf-8") as file:
            self.assertEqual(file.read(), "\u00e9" * 1022 + "\n\ufffd")

    def test_a_silent_failure_is_described(self):
        self.program("import sys; sys.exit(3)")
        self.assertEqual(self.run_entry(), (3, "", ""))
        self.assertEqual(self.failure(), "python program.py: exit code 3, and nothing on stderr")

    def test_no_model_is_a_failure(self):
        self.program("print('done')")
        want = "training ended well but left no file in /opt/ml/model"
        self.assertEqual(self.run_entry(), (1, "done\n", "train: " + want + "\n"))
        self.assertEqual(self.failure(), want)
        self.assertFalse(os.path.exists(self.ml + "/model/towline.json"))

    def test_empty_folders_are_no_model(self):
        self.program("import os; os.makedirs(os.environ['SM_MODEL_DIR'] + '/a/b')")
        self.assertEqual(self.run_entry()[0], 1)

    def test_a_host_that_does_not_lead_needs_no_model(self):
        self.write(
            "/opt-ml/input/config/resourceconfig.json", '{"current_host": "algo-2", "hosts": ["algo-2", "algo-1"]}'
        )
        self.program("")
        self.assertEqual(self.run_entry()[0], 0)

    def test_an_end_by_a_signal_counts_as_128_and_more(self):
        self.program("import os, signal; os.kill(os.getpid(), signal.SIGKILL)")
        self.assertEqual(self.run_entry()[0], 137)

    def test_a_program_that_is_not_there(self):
        self.configure({"train": ["no-such-program", "x"]})
        code, _, err = self.run_entry()
        self.assertEqual((code, err), (127, "train: no-such-program: No such file or directory\n"))
        self.assertEqual(self.failure(), err.strip())

    def test_what_is_left_behind_does_not_hold_up_the_end(self):
        self.program(
            SAVE
            + "import subprocess; print(subprocess.Popen(['sleep', '20'], stdout=subprocess.DEVNULL).pid, flush=True)"
        )
        begun = time.time()
        started = self.start()
        pid = int(started.stdout.readline())
        self.addCleanup(os.kill, pid, signal.SIGKILL)
        self.assertEqual(started.wait(timeout=10), 0)
        self.assertLess(time.time() - begun, 10)

    def test_all_of_a_long_stderr_is_passed_on(self):
        self.program(SAVE + "import sys\nfor i in range(50000): sys.stderr.write('line %d of many lines\\n' % i)")
        code, _, err = self.run_entry()
        self.assertEqual((code, err.count("\n"), err.splitlines()[-1]), (0, 50000, "line 49999 of many lines"))

    def test_stderr_is_passed_on_while_the_program_runs(self):
        self.program("import sys, time; print('now', file=sys.stderr); time.sleep(60)")
        started = self.start()
        self.assertEqual(started.stderr.readline(), "now\n")
        self.assertIsNone(started.poll())


class BrokenImageTest(TrainTest):
    def broken(self, want):
        code, _, err = self.run_entry()
        self.assertEqual(code, 1)
        self.assertIn(want, err)
        self.assertIn(want, self.failure())

    def test_hyperparameters_that_are_no_json(self):
        self.write("/opt-ml/input/config/hyperparameters.json", "{")
        self.broken("hyperparameters.json: Expecting property name")

    def test_hyperparameters_that_are_a_list(self):
        self.write("/opt-ml/input/config/hyperparameters.json", "[]")
        self.broken("hyperparameters.json: found no JSON object")

    def test_no_configuration_of_the_entry(self):
        os.remove(self.root + "/opt/towline/entry.json")
        self.broken("/opt/towline/entry.json in this image")

    def test_no_train_command(self):
        self.configure({"serve": ["python", "serve.py"]})
        self.broken("this image has no train command")


class SignalTest(TrainTest):
    def test_sigterm_is_handed_on_once(self):
        self.program(
            SAVE + "import signal, sys, time\n"
            "def stop(*_): print('told', flush=True); time.sleep(0.3); sys.exit(0)\n"
            "signal.signal(signal.SIGTERM, stop); print('ready', flush=True); time.sleep(60)\n"
        )
        started = self.start()
        self.assertEqual(started.stdout.readline(), "ready\n")
        started.send_signal(signal.SIGTERM)
        out, err = started.communicate(timeout=10)
        self.assertEqual((started.returncode, out, err), (0, "told\n", ""))
        self.assertTrue(os.path.exists(self.ml + "/model/towline.json"))

    def test_sigterm_ends_a_program_that_does_not_care(self):
        self.program("import time; print('ready', flush=True); time.sleep(60)")
        started = self.start()
        started.stdout.readline()
        started.send_signal(signal.SIGTERM)
        self.assertEqual(started.wait(timeout=10), 143)

    def test_the_program_has_no_signal_handling_left_over(self):
        self.program(
            SAVE + "import signal\n"
            "assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL\n"
            "assert not signal.pthread_sigmask(signal.SIG_BLOCK, [])\n"
        )
        self.assertEqual(self.run_entry()[0], 0)

    def test_the_program_dies_with_the_entry(self):
        self.program("import os, time; print(os.getpid(), flush=True); time.sleep(60)")
        started = self.start()
        pid = int(started.stdout.readline())
        started.kill()
        started.wait()
        self.assert_dead(pid)

    def test_orphans_are_fetched_where_the_entry_is_their_parent(self):
        # PR_SET_CHILD_SUBREAPER gives the entry the orphans, as process 1 of a container has them.
        reaper = (
            "import ctypes, os, sys; ctypes.CDLL(None).prctl(36, 1, 0, 0, 0)\n"
            "sys.argv = sys.argv[1:]; exec(compile(open(sys.argv[0]).read(), sys.argv[0], 'exec'))\n"
        )
        self.program(
            SAVE + "import subprocess, sys, time\n"
            "pid = int(subprocess.check_output(['sh', '-c', 'sleep 0.2 >/dev/null 2>&1 & echo $!']))\n"
            "time.sleep(1)\n"
            "print(open('/proc/%d/stat' % pid).read() if os.path.exists('/proc/%d' % pid) else 'gone')\n"
        )
        done = subprocess.run(
            [sys.executable, "-c", reaper, self.path],
            env=self.environ(),
            stdout=subprocess.PIPE,
            timeout=30,
            check=False,
        )
        self.assertEqual((done.returncode, done.stdout), (0, b"gone\n"))


if __name__ == "__main__":
    unittest.main()
