"""Compiles modules named on standard input: NUL-ended paths below the folder
of the first argument, known at run time below that of the second."""

import gc
import importlib.util
import marshal
import os
import sys

UNCHECKED_HASH = (1).to_bytes(4, "little")


def bytecode(source, name):
    """The content of a .pyc file that is never checked against its source, after PEP 552."""
    code = compile(source, name, "exec", dont_inherit=True)
    return (
        importlib.util.MAGIC_NUMBER
        + UNCHECKED_HASH
        + importlib.util.source_hash(source)
        + marshal.dumps(code)
    )


def main():
    gc.disable()
    here, there = sys.argv[1:]
    tag = sys.implementation.cache_tag
    for name in filter(None, sys.stdin.buffer.read().decode().split("\0")):
        with open(os.path.join(here, name), "rb") as file:
            source = file.read()
        try:
            content = bytecode(source, there + "/" + name)
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            continue  # not meant for this version: it stays as it is
        folder, module = os.path.split(name)
        folder = os.path.join(here, folder, "__pycache__")
        os.makedirs(folder, exist_ok=True)
        with open(os.path.join(folder, module[:-3] + "." + tag + ".pyc"), "wb") as file:
            file.write(content)


main()
