"""The serve program of an image that Towline packaged.

It becomes the model's own server: same process, with the SM_* variables and
the PYTHONPATH that the server expects. Standard library only; Python 3.9 or
newer. It never stays behind, so signals and the exit code are the server's.

Configuration: /opt/towline/entry.json, written when the image was made.
TOWLINE_ROOT stands for / and TOWLINE_OPT_ML for /opt/ml where a process
cannot have a root folder of its own.
"""

import os
import sys

# The model's folders are on PYTHONPATH; a file there that is named like a
# module of the standard library is for the model, not for this program.
_LIBRARY = [p for p in os.environ.get("PYTHONPATH", "").split(os.pathsep) if p]
sys.path[:] = [p for p in sys.path if p not in _LIBRARY]

import json
import signal

ROOT = os.environ.get("TOWLINE_ROOT", "").rstrip("/")
OPT_ML = os.environ.get("TOWLINE_OPT_ML", "").rstrip("/") or "/opt/ml"
PROGRAM = ROOT + "/opt/program"
ENTRY = ROOT + "/opt/towline/entry.json"


def main():
    try:
        with open(ENTRY, encoding="utf-8") as file:
            command = list(json.load(file).get("serve") or [])
    except (OSError, ValueError, AttributeError, TypeError) as error:
        return fail(f"read {ENTRY}: {error}", 1)
    if not command:
        return fail("this image has no serve command", 1)
    if command[0] == "python":
        command[0] = sys.executable
    sys.stdout.flush()
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # Python ignores it, and a program would inherit that
    try:
        os.chdir(PROGRAM)
        os.execvpe(command[0], command, environment())
    except OSError as error:
        return fail(f"{command[0]}: {error.strerror}", 127)


def environment():
    environ = dict(os.environ)
    search = [PROGRAM, ROOT + "/opt/towline/lib"]
    environ["PYTHONPATH"] = os.pathsep.join(search + [p for p in _LIBRARY if p not in search])
    environ["PYTHONUNBUFFERED"] = "1"
    environ["SM_MODEL_DIR"] = OPT_ML + "/model"
    if not environ.get("SAGEMAKER_BIND_TO_PORT"):
        environ["SAGEMAKER_BIND_TO_PORT"] = "8080"
    return environ


def fail(reason, code):
    sys.stderr.write(f"serve: {reason}\n")
    return code


if __name__ == "__main__":
    sys.exit(main())
