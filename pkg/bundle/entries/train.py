"""The train program of an image that Towline packaged.

It turns the container contract of SageMaker training into what a training
script expects (arguments, SM_* variables, a working folder), runs the
script, and turns the script's end into what SageMaker expects (exit code,
/opt/ml/output/failure, something in /opt/ml/model). Standard library only;
Python 3.9 or newer. It never reads the network and never changes the data.

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
import select
import signal

ROOT = os.environ.get("TOWLINE_ROOT", "").rstrip("/")
OPT_ML = os.environ.get("TOWLINE_OPT_ML", "").rstrip("/") or "/opt/ml"
MODEL = OPT_ML + "/model"
PROGRAM = ROOT + "/opt/program"
NAME = "train"  # of this program, in what it says; evaluate stands on it
FAILURE_LIMIT = 1024  # characters that SageMaker keeps of the failure file
TAIL = 64 << 10  # bytes of stderr to choose them from


class Failure(Exception):
    """Training cannot begin, or did not give what it must give."""


def main():
    try:
        entry = read_json(ROOT + "/opt/towline/entry.json")
        command, environ = prepare(entry)
    except Failure as failure:
        return fail(str(failure), 1)
    code, stderr = run(command, environ)
    if code != 0:
        command = " ".join(entry["train"])
        return fail(last_lines(stderr) or f"{command}: exit code {code}, and nothing on stderr", code, tell=False)
    if leads() and not has_files(MODEL):
        return fail("training ended well but left no file in /opt/ml/model", 1)
    try:
        describe(entry)
    except OSError as error:
        return fail(f"write /opt/ml/model/towline.json: {error}", 1)
    return 0


def prepare(entry):
    """The command line and the environment of the model's own program."""
    command = list(entry.get("train") or [])
    if not command:
        raise Failure("this image has no train command")
    if command[0] == "python":
        command[0] = sys.executable
    parameters = read_json(OPT_ML + "/input/config/hyperparameters.json", {})
    resources = read_json(OPT_ML + "/input/config/resourceconfig.json", {})
    # Names that SageMaker and its SDK add for themselves are not the model's.
    own = {k: v for k, v in parameters.items() if not k.startswith(("sagemaker_", "_tuning_"))}
    for name in sorted(own):
        command += ["--" + name, text(own[name])]
    try:
        os.makedirs(MODEL, exist_ok=True)
        os.makedirs(OPT_ML + "/output/data", exist_ok=True)
    except OSError as error:
        raise Failure(f"make the output folders: {error}")
    return command, environment(own, resources)


def environment(parameters, resources):
    environ = dict(os.environ)
    search = [PROGRAM, ROOT + "/opt/towline/lib"]
    environ["PYTHONPATH"] = os.pathsep.join(search + [p for p in _LIBRARY if p not in search])
    environ["PYTHONUNBUFFERED"] = "1"

    channels = {name: OPT_ML + "/input/data/" + name for name in channel_names()}
    hosts = resources.get("hosts") or ["algo-1"]
    values = {name: value(v) for name, v in parameters.items()}
    facts = {
        "model_dir": MODEL,
        "output_dir": OPT_ML + "/output",
        "output_data_dir": OPT_ML + "/output/data",
        "num_cpus": cpus(),
        "num_gpus": gpus(),
        "hosts": hosts,
        "current_host": resources.get("current_host") or hosts[0],
        "channels": sorted(channels),
        "hps": values,
    }
    for name, fact in facts.items():
        environ["SM_" + name.upper()] = fact if isinstance(fact, str) else json.dumps(fact)
    for name, path in channels.items():
        environ["SM_CHANNEL_" + variable(name)] = path
    for name, v in parameters.items():
        environ["SM_HP_" + variable(name)] = text(v)
    del facts["channels"], facts["hps"]
    facts.update(
        hyperparameters=values,
        channel_input_dirs=channels,
        input_dir=OPT_ML + "/input",
        input_config_dir=OPT_ML + "/input/config",
        job_name=os.environ.get("TRAINING_JOB_NAME", ""),
    )
    environ["SM_TRAINING_ENV"] = json.dumps(facts, sort_keys=True)
    return environ


def run(command, environ):
    """Run the command to its end: its exit code and the end of its stderr.

    Its stderr is passed through as it comes. A signal that ends it counts as
    128 plus its number; SIGTERM and SIGINT are handed on to it.
    """
    wake, wake_in = os.pipe()
    os.set_blocking(wake_in, False)
    signal.set_wakeup_fd(wake_in, warn_on_full_buffer=False)
    asked = []
    forwarded = (signal.SIGTERM, signal.SIGINT)
    for number in forwarded:
        signal.signal(number, lambda n, _: asked.append(n))
    signal.signal(signal.SIGCHLD, lambda n, _: None)

    pipe, pipe_in = os.pipe()
    signal.pthread_sigmask(signal.SIG_BLOCK, forwarded)
    parent = os.getpid()
    sys.stdout.flush()
    child = os.fork()
    if child == 0:
        become(command, environ, pipe_in, parent)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, forwarded)
    os.close(pipe_in)

    stderr, code = b"", None
    sources = [pipe, wake]
    while code is None:
        ready = select.select(sources, [], [])[0]
        if wake in ready:
            os.read(wake, 4096)
        while asked:
            os.kill(child, asked.pop(0))
        if pipe in ready:
            stderr, more = pass_on(pipe, stderr)
            if not more:
                sources.remove(pipe)
        code = reap(child)
    os.set_blocking(pipe, False)
    more = pipe in sources
    while more:  # what it still said; something it left behind may keep the pipe open
        stderr, more = pass_on(pipe, stderr)
    return code, stderr


def become(command, environ, stderr, parent):
    """Turn this new process into the command. Never returns."""
    try:
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGCHLD, signal.SIGPIPE):
            signal.signal(number, signal.SIG_DFL)
        signal.set_wakeup_fd(-1)
        signal.pthread_sigmask(signal.SIG_SETMASK, [])
        os.dup2(stderr, 2)
        die_with(parent)
        os.chdir(PROGRAM)
        os.execvpe(command[0], command, environ)
    except OSError as error:
        os.write(2, (f"{NAME}: {command[0]}: {error.strerror}\n").encode())
    finally:
        os._exit(127)


def die_with(parent):
    """Have the kernel end this process when its parent ends, however that ends."""
    if not sys.platform.startswith("linux"):
        return
    try:
        import ctypes

        pr_set_pdeathsig = 1
        ctypes.CDLL(None).prctl(pr_set_pdeathsig, signal.SIGKILL, 0, 0, 0)
    except (ImportError, OSError, AttributeError):
        return
    if os.getppid() != parent:
        os._exit(128 + signal.SIGKILL)


def pass_on(pipe, kept):
    """Pass on what the pipe holds now: the end of all there was, and whether more may come."""
    try:
        data = os.read(pipe, 64 << 10)
    except BlockingIOError:
        return kept, False
    rest = data
    try:
        while rest:
            rest = rest[os.write(2, rest) :]
    except OSError:
        pass  # nobody reads the log: training goes on
    return (kept + data)[-TAIL:], bool(data)


def reap(child):
    """The exit code of the child, or None while it runs. As process 1 of a
    container this program also inherits the orphans."""
    code = None
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return code
        if pid == 0:
            return code
        if pid == child:
            code = os.WEXITSTATUS(status) if os.WIFEXITED(status) else 128 + os.WTERMSIG(status)


def fail(reason, code, tell=True):
    if tell:
        sys.stderr.write(f"{NAME}: {reason}\n")
    try:
        os.makedirs(OPT_ML + "/output", exist_ok=True)
        with open(OPT_ML + "/output/failure", "w", encoding="utf-8") as file:
            file.write(reason[:FAILURE_LIMIT])
    except OSError as error:
        sys.stderr.write(f"{NAME}: write /opt/ml/output/failure: {error}\n")
    return code


def last_lines(stderr):
    """As many whole lines of the end as fit; the beginning of the last one if it alone is too long."""
    lines = stderr.decode("utf-8", "replace").strip().splitlines()
    kept, room = [], FAILURE_LIMIT
    for line in reversed(lines):
        room -= len(line) + 1
        if room < -1:
            break
        kept.insert(0, line)
    if lines and not kept:
        return lines[-1][: FAILURE_LIMIT - 3] + "..."
    return "\n".join(kept)


def describe(entry):
    """Write what this model knows of itself into its archive."""
    knows = {
        "project": os.environ.get("TOWLINE_PROJECT") or entry.get("project"),
        "model": os.environ.get("TOWLINE_MODEL") or entry.get("model"),
        "version": os.environ.get("TOWLINE_VERSION"),
        "identity": os.environ.get("TOWLINE_IDENTITY"),
        "training_data": os.environ.get("TOWLINE_TRAINING_DATA"),
        "training_job": os.environ.get("TRAINING_JOB_NAME"),
    }
    with open(MODEL + "/towline.json", "w", encoding="utf-8") as file:
        json.dump({k: v for k, v in knows.items() if v}, file, indent=2, sort_keys=True)
        file.write("\n")


def leads():
    """Of several hosts only the first must leave a model."""
    resources = read_json(OPT_ML + "/input/config/resourceconfig.json", {})
    hosts = sorted(resources.get("hosts") or [])
    return len(hosts) < 2 or resources.get("current_host") == hosts[0]


def has_files(folder):
    return any(files for _, _, files in os.walk(folder))


def channel_names():
    names = read_json(OPT_ML + "/input/config/inputdataconfig.json", {})
    if names:
        return sorted(names)
    try:
        return sorted(e.name for e in os.scandir(OPT_ML + "/input/data") if e.is_dir())
    except OSError:
        return []


def read_json(path, default=None):
    """The JSON object in the file; the default where there is no file."""
    try:
        with open(path, encoding="utf-8") as file:
            found = json.load(file)
    except FileNotFoundError:
        if default is None:
            raise Failure(f"no file {path} in this image")
        return default
    except (OSError, ValueError) as error:
        raise Failure(f"read {path}: {error}")
    if not isinstance(found, dict):
        raise Failure(f"read {path}: found no JSON object")
    return found


def value(raw):
    """A hyperparameter as data. All arrive as strings, of which some hold JSON."""
    try:
        return json.loads(raw) if isinstance(raw, str) else raw
    except ValueError:
        return raw


def text(raw):
    """A hyperparameter as one word of a command line."""
    found = value(raw)
    if isinstance(found, str):
        return found
    return raw if isinstance(raw, str) else json.dumps(raw)


def variable(name):
    return "".join(c if c.isalnum() else "_" for c in name).upper()


def cpus():
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:
        return os.cpu_count() or 1


def gpus():
    try:
        return sum(name[:6] == "nvidia" and name[6:].isdigit() for name in os.listdir("/dev"))
    except OSError:
        return 0


if __name__ == "__main__":
    sys.exit(main())
