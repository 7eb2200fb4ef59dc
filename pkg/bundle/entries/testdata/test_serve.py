import json
import os
import signal
import subprocess
import sys
import unittest

from image import ENTRIES, ImageTest

TELL = "import json, os, sys; print(json.dumps([os.getpid(), sys.argv[1:], dict(os.environ), os.getcwd()]))\n"


class ServeTest(ImageTest):
    entry = "serve"

    def told(self, **more):
        self.program(TELL)
        started = self.start(**more)
        out, err = started.communicate(timeout=30)
        self.assertEqual((started.returncode, err), (0, ""))
        pid, args, environ, folder = json.loads(out)
        self.assertEqual(pid, started.pid, "the server is not the process that was started")
        return args, environ, folder

    def test_it_becomes_the_server(self):
        self.configure({"serve": ["python", "program.py", "--fast"]})
        args, environ, folder = self.told(CUSTOM="x")
        program, library = self.root + "/opt/program", self.root + "/opt/towline/lib"
        self.assertEqual((args, folder), (["--fast"], program))
        for name, want in {
            "SM_MODEL_DIR": self.ml + "/model",
            "SAGEMAKER_BIND_TO_PORT": "8080",
            "PYTHONPATH": program + ":" + library,
            "PYTHONUNBUFFERED": "1",
            "CUSTOM": "x",
        }.items():
            self.assertEqual(environ.get(name), want, name)

    def test_the_port_can_be_given(self):
        _, environ, _ = self.told(SAGEMAKER_BIND_TO_PORT="9090")
        self.assertEqual(environ["SAGEMAKER_BIND_TO_PORT"], "9090")

    def test_the_exit_code_is_the_server_s(self):
        self.program("import sys; sys.exit(7)")
        self.assertEqual(self.run_entry()[0], 7)

    def test_sigterm_reaches_the_server(self):
        self.program("import time; print('ready', flush=True); time.sleep(60)")
        started = self.start()
        self.assertEqual(started.stdout.readline(), "ready\n")
        started.send_signal(signal.SIGTERM)
        self.assertEqual(started.wait(timeout=10), -signal.SIGTERM)

    def test_the_server_gets_sigpipe_as_any_program(self):
        self.configure({"serve": ["sh", "-c", "kill -PIPE $$; echo survived"]})
        self.assertEqual(self.run_entry()[:2], (-signal.SIGPIPE, ""))

    def test_a_module_of_the_model_does_not_stand_in_for_the_library(self):
        self.write("/opt/program/json.py", "raise SystemExit('the wrong module')")
        self.program("print('fine')")
        self.assertEqual(self.run_entry(PYTHONPATH=self.root + "/opt/program"), (0, "fine\n", ""))

    def test_what_an_image_may_lack(self):
        for entry, code, want in (
            ('{"train": ["python", "train.py"]}', 1, "serve: this image has no serve command\n"),
            ('{"serve": ["no-such-program"]}', 127, "serve: no-such-program: No such file or directory\n"),
            ("{", 1, "entry.json: Expecting property name"),
            ("[]", 1, "entry.json: "),
            (None, 1, "No such file or directory"),
        ):
            with self.subTest(entry=entry):
                if entry is None:
                    os.remove(self.root + "/opt/towline/entry.json")
                else:
                    self.write("/opt/towline/entry.json", entry)
                got, _, err = self.run_entry()
                self.assertEqual(got, code)
                self.assertIn(want, err)


class StartupTest(unittest.TestCase):
    def test_little_is_imported(self):
        heavy = {
            "argparse",
            "asyncio",
            "concurrent",
            "inspect",
            "logging",
            "shutil",
            "socket",
            "subprocess",
            "tempfile",
            "threading",
            "typing",
        }
        for entry in ("train", "serve"):
            path = os.path.join(ENTRIES, entry + ".py")
            script = "import sys; before = set(sys.modules); exec(compile(open(sys.argv[1]).read(), 'entry', 'exec'), {'__name__': 'entry'}); print(*(set(sys.modules) - before))"
            out = subprocess.check_output([sys.executable, "-S", "-c", script, path], universal_newlines=True)
            self.assertEqual(heavy & set(out.split()), set(), entry)


if __name__ == "__main__":
    unittest.main()
