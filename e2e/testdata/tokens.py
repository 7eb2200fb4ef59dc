"""Answer, for each file named on stdin, what CPython makes of it.

"t PATH" asks for its tokens, as tokenize has them: their size in bytes, then
five 32-bit numbers for each: kind, start line and column, end line and
column. "c PATH" asks whether it compiles: the size 0. A file that does not
tokenize or compile has the size -1.
"""

import array
import struct
import sys
import tokenize
import warnings

# The kinds in the order of the Go package's constants.
KINDS = "ENDMARKER NAME NUMBER STRING OP COMMENT NL NEWLINE INDENT DEDENT ERRORTOKEN".split()
NUMBERS = {getattr(tokenize, name): number for number, name in enumerate(KINDS)}
TROUBLE = (SyntaxError, UnicodeDecodeError, tokenize.TokenError, ValueError, MemoryError, RecursionError)


def tokens(path):
    packed = array.array("I")
    add = packed.extend
    numbers = NUMBERS
    with open(path, "rb") as file:
        stream = tokenize.tokenize(file.readline)
        next(stream)  # ENCODING
        for kind, _, (line, column), (end_line, end_column), _ in stream:
            add((numbers[kind], line, column, end_line, end_column))
    return packed.tobytes()


def compiles(path):
    with open(path, "rb") as file:
        compile(file.read(), path, "exec", dont_inherit=True)
    return b""


def main():
    if sys.version_info[:2] != (3, 11):
        sys.exit(f"Python {sys.version.split()[0]}, want 3.11")
    warnings.simplefilter("ignore")
    out = sys.stdout.buffer
    for line in sys.stdin:
        ask, path = line.rstrip("\n").split(" ", 1)
        try:
            data = {"t": tokens, "c": compiles}[ask](path)
            out.write(struct.pack("<i", len(data)) + data)
        except TROUBLE:
            out.write(struct.pack("<i", -1))
        out.flush()


main()
