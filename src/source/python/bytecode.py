"""Compiles modules: reads `length path length source` for each from standard input, writes `length pyc` to standard
output.

The output is reproducible. The environment fixes the hash seed. marshal marks an object as shared if it has more than
one reference, and for interned strings this depends on everything else in the process; so this program holds one more
reference to each string, and all strings are marked.
"""

import marshal
import struct
import sys
import warnings
from importlib import _bootstrap_external as external
from importlib.util import source_hash

warnings.simplefilter("ignore")
sys.setrecursionlimit(1 << 14)
source, target = sys.stdin.buffer, sys.stdout.buffer


def read():
    head = source.read(4)
    return source.read(struct.unpack(">I", head)[0]) if len(head) == 4 else None


def strings(value, found):
    if isinstance(value, str):
        found.append(value)
    elif isinstance(value, (tuple, frozenset)):
        for part in value:
            strings(part, found)
    elif hasattr(value, "co_code"):
        for part in (value.co_consts, value.co_names, value.co_varnames, value.co_cellvars, value.co_freevars,
                     value.co_name, value.co_filename, getattr(value, "co_qualname", "")):
            strings(part, found)


def compiled(path, text):
    try:
        code = compile(text, path, "exec", dont_inherit=True, optimize=0)
    except (SyntaxError, ValueError, RecursionError, OverflowError):
        return b""  # a package may hold invalid modules, as data of its tests
    held = []
    strings(code, held)
    # PEP 552: an unchecked hash-based pyc
    head = external.MAGIC_NUMBER + struct.pack("<I", 1) + source_hash(text)
    return head + marshal.dumps(code)


while True:
    path = read()
    if path is None:
        break
    made = compiled(path.decode("utf-8", "surrogateescape"), read())
    target.write(struct.pack(">I", len(made)) + made)
    target.flush()
