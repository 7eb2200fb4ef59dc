"""Write the tokens of Python files as CPython's tokenize has them.

Reads paths from stdin. Per file: a line with the path, "=" for a file that
tokenizes and "!" for one that does not, then the tokens. Token: kind, start
line, start column, end line, end column, as 32-bit numbers, packed.
"""
import array
import os
import struct
import sys
import tokenize


def tokens(path):
    packed = array.array("I")
    add = packed.extend
    with open(path, "rb") as file:
        for kind, _, start, end, _ in tokenize.tokenize(file.readline):
            add((kind, *start, *end))
    return packed[5:]  # without ENCODING


def main():
    if sys.version_info[:2] != (3, 11):
        sys.exit(f"Python {sys.version.split()[0]}, want 3.11")
    out = sys.stdout.buffer
    for line in sys.stdin:
        path = line.rstrip("\n")
        try:
            data = tokens(path).tobytes()
        except (SyntaxError, UnicodeDecodeError, tokenize.TokenError, ValueError):
            out.write(struct.pack("<i", -1))
        else:
            out.write(struct.pack("<i", len(data)))
            out.write(data)
        out.flush()


main()
