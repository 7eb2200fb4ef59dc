"""A folder that looks like an unpacked image, to run the entries in."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
import unittest

ENTRIES = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


class ImageTest(unittest.TestCase):
    """Gives each test an image of its own in self.root, and /opt/ml in self.ml."""

    entry = ""
    besides = ()  # programs that lie beside it

    def setUp(self):
        self.root = tempfile.mkdtemp(prefix="towline entry ")
        self.addCleanup(shutil.rmtree, self.root, ignore_errors=True)
        self.ml = self.root + "/opt-ml"
        for folder in ("/opt/program", "/opt/towline/lib", "/opt/towline/bin", "/opt-ml/input/config"):
            os.makedirs(self.root + folder)
        for name in {self.entry, *self.besides}:
            shutil.copy(os.path.join(ENTRIES, name + ".py"), os.path.join(os.path.dirname(self.path), name))
        self.configure({self.entry: ["python", "program.py"], "python": "3.11", "project": "threats", "model": "risk"})

    @property
    def path(self):
        return self.root + "/opt/towline/bin/" + self.entry

    def configure(self, entry):
        self.write("/opt/towline/entry.json", json.dumps(entry))

    def write(self, name, content):
        os.makedirs(os.path.dirname(self.root + name), exist_ok=True)
        with open(self.root + name, "w") as file:
            file.write(content)

    def program(self, source):
        self.write("/opt/program/program.py", source)

    def read(self, name):
        with open(self.ml + "/" + name) as file:
            return file.read()

    def environ(self, **more):
        environ = {"PATH": os.environ["PATH"], "TOWLINE_ROOT": self.root, "TOWLINE_OPT_ML": self.ml}
        environ.update(more)
        return environ

    def start(self, **more):
        started = subprocess.Popen(
            [sys.executable, self.path],
            env=self.environ(**more),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            encoding="utf-8",
            errors="replace",
        )
        self.addCleanup(started.stdout.close)
        self.addCleanup(started.stderr.close)
        self.addCleanup(started.wait)
        self.addCleanup(started.kill)
        return started

    def run_entry(self, **more):
        """Run the entry to its end: exit code, stdout, stderr."""
        started = self.start(**more)
        out, err = started.communicate(timeout=30)
        return started.returncode, out, err

    def assert_dead(self, pid):
        deadline = time.time() + 2
        while alive(pid):
            self.assertLess(time.time(), deadline, f"process {pid} still runs")
            time.sleep(0.01)


def alive(pid):
    """Whether the process is there and no zombie."""
    try:
        os.kill(pid, 0)
        with open(f"/proc/{pid}/stat") as stat:
            return ") Z " not in stat.read()
    except (ProcessLookupError, FileNotFoundError):
        return False


__all__ = ["ImageTest", "alive"]
