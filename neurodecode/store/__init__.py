"""Floor 0: run records. Results go to netCDF and come back identical, and every one says how it was made.

A file is plain netCDF-4 that any reader opens. What netCDF cannot hold (booleans, None, dicts, the width of a
string, complex numbers ...) is written in a form that it can, and one JSON attribute, ``neurodecode_record``, says
how to put it back. Nothing is pickled and nothing in a file is ever executed.
"""

from neurodecode.store.atomic import write_bytes, write_text
from neurodecode.store.files import load, save
from neurodecode.store.folders import open_blocks
from neurodecode.store.hashes import data_hash
from neurodecode.store.kept import kept
from neurodecode.store.noting import noting, watch, with_warnings
from neurodecode.store.pieces import Pieces
from neurodecode.store.places import require_writable
from neurodecode.store.stamps import provenance, stamp
from neurodecode.store.values import describe, fingerprint

__all__ = [
    "Pieces",
    "data_hash",
    "describe",
    "fingerprint",
    "kept",
    "load",
    "noting",
    "open_blocks",
    "provenance",
    "require_writable",
    "save",
    "stamp",
    "watch",
    "with_warnings",
    "write_bytes",
    "write_text",
]
