"""What a value is, as a hash of what it holds: equal in every process, and another for a value that differs.

Functions are told by their code, what they have taken in, and, where they are a user's own, the globals they use; what
an installed package brings is told by its name and version. Nothing is asked of a value but what pickling asks.
"""

from __future__ import annotations

import copyreg
import dis
import functools
import hashlib
import json
import pathlib
import random
import sys
import types
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from neurodecode.store.hashes import data_hash

PLAIN = (bytes, bytearray, float, complex)
# Whose arrays are their values, wherever they lie: pickled, some are no more than a path.
ARRAYS = ("dask", "h5py", "nibabel", "torch", "zarr")
# Instructions that look a name up among the globals.
LOADS = ("LOAD_GLOBAL", "LOAD_NAME", "LOAD_FROM_DICT_OR_GLOBALS")
# Generators that a process has of its own, whose state is another in each; SciPy's distributions hold NumPy's.
SHARED = (np.random.mtrand._rand, random._inst)
# What says nothing of how a class computes, or cannot be read.
ASIDE = ("__doc__", "__module__", "__dict__", "__weakref__", "_abc_impl")


def contents(value: Any) -> str:
    """Hash all that a value holds, in sixteen hex digits.

    Raises
    ------
    Exception
        Whatever pickling raises, if it holds what has no contents of its own: open files, locks, generators.
    """
    return _Walk().hash(value)


def is_own(module: str | None) -> bool:
    """Whether code is a user's own, so that it may change without its version telling: a script, a notebook."""
    top = (module or "__main__").partition(".")[0]
    if top == "__main__":
        return True
    if top == "neurodecode" or top in sys.stdlib_module_names:
        return False
    found = sys.modules.get(str(module)) or sys.modules.get(top)
    return not {"site-packages", "dist-packages"} & set(
        pathlib.Path(getattr(found, "__file__", None) or "").parts
    )


def reduced(value: Any) -> str | tuple[Any, ...]:
    """What pickling takes an object apart into; a text if that is a name."""
    own = copyreg.dispatch_table.get(type(value))
    return value.__reduce_ex__(4) if own is None else own(value)


class _Walk:
    """Tells values in JSON, each object once; what holds itself is told by how far above it stands."""

    def __init__(self) -> None:
        self.within: list[int] = []
        self.known: dict[int, tuple[Any, str]] = {}  # with the object, so that its id is not used again

    def hash(self, value: Any) -> str:
        return hashlib.sha256(json.dumps(self.told(value)).encode()).hexdigest()[:16]

    def told(self, value: Any) -> Any:
        kind = type(value)
        if value is None or kind in (bool, int, str):
            return value
        name = f"{kind.__module__}.{kind.__qualname__}"
        if kind in PLAIN:
            return [name, repr(value)]
        if kind in (list, tuple):
            return [name, *map(self.told, value)]
        if kind in (set, frozenset):
            return [name, *sorted(json.dumps(self.told(v)) for v in value)]
        if kind in (dict, types.MappingProxyType):
            return [name, *([self.told(k), self.told(v)] for k, v in value.items())]
        if id(value) in self.within:
            return ["within", self.within.index(id(value))]
        if id(value) not in self.known:
            self.within.append(id(value))
            text = json.dumps([name, self._parts(value)])
            self.within.pop()
            self.known[id(value)] = (value, hashlib.sha256(text.encode()).hexdigest())
        return [name, self.known[id(value)][1]]

    def _parts(self, value: Any) -> Any:
        for kinds, tell in self._ways():
            if isinstance(value, kinds):
                return tell(value)
        if (
            type(value).__module__.partition(".")[0] in ARRAYS
            and hasattr(value, "dtype")
            and hasattr(value, "shape")
        ):
            return self._tensor(value) if hasattr(value, "detach") else data_hash(value)
        if any(value is one for one in SHARED):
            return "of the process"
        return self._object(value)

    def _ways(self) -> tuple[tuple[Any, Callable[[Any], Any]], ...]:
        return (
            (np.ndarray | np.generic, self._array),
            (xr.DataArray | xr.Dataset, data_hash),
            (pd.DataFrame, self._table),
            (types.FunctionType, self._function),
            (types.CodeType, self._code),
            (types.MethodType, lambda m: [self.told(m.__func__), self.told(m.__self__)]),
            (classmethod | staticmethod, lambda m: self.told(m.__func__)),
            (property, lambda p: [self.told(f) for f in (p.fget, p.fset, p.fdel)]),
            (functools.cached_property, lambda p: self.told(p.func)),
            (functools.partial, self._partial),
            (types.ModuleType, self._module),
            (type, self._class),
        )

    def _array(self, value: Any) -> Any:
        if isinstance(value, np.ma.MaskedArray):
            return [self.told(np.asarray(value)), self.told(np.ma.getmaskarray(value))]
        array = np.asarray(value)
        dtype = array.dtype.newbyteorder("<")
        if dtype.hasobject and dtype.kind != "T":
            return [str(dtype), array.shape, self.told(array.ravel().tolist())]
        return [str(dtype), data_hash(array)]

    def _table(self, value: pd.DataFrame) -> Any:
        """By columns: what pickling tells of a table may be another once somebody has looked into it."""
        columns = [value.iloc[:, i].array for i in range(value.shape[1])]
        return [self.told(v) for v in (value.index, value.columns, columns)]

    def _tensor(self, value: Any) -> Any:
        plain = value.detach().cpu()
        try:
            return data_hash(plain)
        except TypeError:  # NumPy has no such type: bfloat16 and shorter ones, which float32 holds exactly
            return [str(plain.dtype), data_hash(plain.float())]

    def _partial(self, value: functools.partial[Any]) -> Any:
        return [self.told(v) for v in (value.func, value.args, dict(sorted(value.keywords.items())))]

    def _function(self, value: types.FunctionType) -> Any:
        taken = [*_cells(value), value.__defaults__, value.__kwdefaults__, value.__dict__]
        said = [value.__module__, value.__qualname__, _version(value.__module__)]
        used: Mapping[str, Any] = {}
        # Not by __module__, which functools.wraps takes from the function inside.
        if is_own(value.__globals__.get("__name__")):
            names = _global_names(value.__code__)
            used = {name: value.__globals__[name] for name in names if name in value.__globals__}
        return [*said, self._code(value.__code__), *map(self.told, taken), self.told(used)]

    def _code(self, code: types.CodeType) -> Any:
        names = [code.co_names, code.co_varnames, code.co_freevars, code.co_cellvars]
        counts = [code.co_argcount, code.co_posonlyargcount, code.co_kwonlyargcount, code.co_flags]
        text = [code.co_code.hex(), code.co_exceptiontable.hex()]
        return [*text, *names, *counts, self.told(code.co_consts)]

    def _module(self, module: types.ModuleType) -> Any:
        """Name and version; of a user's own the text, and that of its own ones that it imports."""
        file = module.__dict__.get("__file__")
        if not is_own(module.__name__) or file is None:
            return [module.__name__, _version(module.__name__)]
        kinds = types.ModuleType | types.FunctionType | type
        inside = [v for v in module.__dict__.values() if isinstance(v, kinds)]
        homes = {v.__name__ if isinstance(v, types.ModuleType) else v.__module__ for v in inside}
        others = [sys.modules[name] for name in sorted(map(str, homes)) if name in sys.modules]
        text = hashlib.sha256(pathlib.Path(file).read_bytes()).hexdigest()
        return [
            module.__name__,
            text,
            *(self.told(o) for o in others if o is not module and is_own(o.__name__)),
        ]

    def _class(self, value: type) -> Any:
        said = [value.__module__, value.__qualname__, _version(value.__module__)]
        if not is_own(value.__module__):
            return said
        members = {
            name: member
            for name, member in vars(value).items()
            if name not in ASIDE and (callable(member) or not (name.startswith("__") and name.endswith("__")))
        }
        return [*said, self.told(value.__bases__), self.told(members)]

    def _object(self, value: Any) -> Any:
        own = getattr(value, "__dict__", None) or {}
        if "__wrapped__" in own:  # what stands before a function: functools.cache, numba
            return self.told(own["__wrapped__"])
        taken = reduced(value)
        if isinstance(taken, str):
            module = getattr(value, "__module__", None)
            return [module, taken, _version(module)]
        make, given, *rest = taken
        state, items, pairs, *_ = [*rest, None, None, None]
        parts: list[Any] = [make, given, state, list(items or ()), list(pairs or ())]
        return [self.told(part) for part in parts]


def _cells(function: types.FunctionType) -> Iterator[list[Any]]:
    """What a function has taken in; a variable that is still empty is told as none."""
    for cell in function.__closure__ or ():
        try:
            yield [cell.cell_contents]
        except ValueError:
            yield []


def _global_names(code: types.CodeType) -> list[str]:
    found = {str(i.argval) for i in dis.get_instructions(code) if i.opname in LOADS}
    for const in code.co_consts:
        if isinstance(const, types.CodeType):
            found.update(_global_names(const))
    return sorted(found)


def _version(module: str | None) -> str | None:
    """Version of the package that a module belongs to, where it says one."""
    return getattr(sys.modules.get((module or "").partition(".")[0]), "__version__", None)
