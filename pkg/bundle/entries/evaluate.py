"""The evaluate program of an image that Towline packaged.

It measures a model once more, in a job of its own: it unpacks the model's
archive, which is one of the job's channels, to where the model was written
when it was trained, and runs the model's own evaluate command with the other
channels. What the command writes to /opt/ml/output/data is the job's output;
the model is taken away again, so that it is not kept twice.

It stands on the train program beside it, and ends as that does: exit code,
/opt/ml/output/failure. Standard library only; Python 3.9 or newer.
"""

import os
import sys

# The model's folders are on PYTHONPATH; a file there that is named like a
# module of the standard library is for the model, not for this program.
_LIBRARY = os.environ.get("PYTHONPATH", "").split(os.pathsep)
sys.path[:] = [p for p in sys.path if p not in _LIBRARY]
sys.dont_write_bytecode = True

import shutil
import tarfile
from importlib.machinery import SourceFileLoader
from importlib.util import module_from_spec, spec_from_loader

CHANNEL = "towline-model"


def beside(name):
    """The program of that name in this program's folder, as a module."""
    path = os.path.join(os.path.dirname(os.path.abspath(__file__)), name)
    loader = SourceFileLoader("towline_" + name, path)
    module = module_from_spec(spec_from_loader(loader.name, loader))
    loader.exec_module(module)
    return module


train = beside("train")
train.NAME = "evaluate"


def main():
    try:
        entry = train.read_json(train.ROOT + "/opt/towline/entry.json")
        if not entry.get("evaluate"):
            raise train.Failure("this image has no evaluate command")
        command, environ = train.prepare(dict(entry, train=entry["evaluate"]))
        unpack(archive(), train.MODEL)
    except train.Failure as failure:
        return train.fail(str(failure), 1)
    code, stderr = train.run(command, environ)
    empty(train.MODEL)
    if code != 0:
        command = " ".join(entry["evaluate"])
        reason = train.last_lines(stderr) or f"{command}: exit code {code}, and nothing on stderr"
        return train.fail(reason, code, tell=False)
    return 0


def archive():
    """The only file of the channel that holds the model."""
    folder = train.OPT_ML + "/input/data/" + CHANNEL
    try:
        files = [e.path for e in os.scandir(folder) if e.is_file() and e.name.endswith(".tar.gz")]
    except OSError as error:
        raise train.Failure(f"find the model: {error}")
    if len(files) != 1:
        raise train.Failure(f"find the model: {len(files)} archives in the channel {CHANNEL}, wanted one")
    return files[0]


def unpack(path, folder):
    try:
        with tarfile.open(path) as tar:
            if hasattr(tarfile, "data_filter"):
                tar.extractall(folder, filter="data")
            else:  # an older Python: files and folders alone, none outside
                tar.extractall(folder, members=[m for m in tar if plain(m)])
    except (OSError, EOFError, tarfile.TarError) as error:
        raise train.Failure(f"unpack the model: {error}")


def plain(member):
    parts = member.name.split("/")
    return (member.isfile() or member.isdir()) and not os.path.isabs(member.name) and ".." not in parts


def empty(folder):
    for entry in os.scandir(folder):
        if entry.is_dir(follow_symlinks=False):
            shutil.rmtree(entry.path, ignore_errors=True)
        else:
            os.unlink(entry.path)


if __name__ == "__main__":
    sys.exit(main())
