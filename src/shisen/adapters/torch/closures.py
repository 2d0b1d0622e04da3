"""Deep copies of networks that hold what Python does not copy: functions, with all that they hold on to, and locks."""

from __future__ import annotations

import copy
import functools
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from types import BuiltinFunctionType, CellType, FunctionType, MethodType, ModuleType
from typing import Any

import torch

ATOMIC = (str, bytes, int, float, complex, type(None), type, ModuleType, BuiltinFunctionType)
OWN = (torch.nn.Module, torch.Tensor)


def copied(net: Any, modules: Sequence[Any], memo: dict[int, Any]) -> Any:
    """Return a deep copy of a network in which its functions hold on to the copy instead of the original.

    What cannot be copied, such as a lock or an open file, is shared with the original.

    Args:
        net: the network.
        modules: all modules inside it.
        memo: what stands for objects in the copy, by their identity; as in `copy.deepcopy`.

    Returns:
        The copy.

    Raises:
        TypeError: for a function that reaches the network through a global variable.
    """
    attributes = [v for m in modules for name, v in vars(m).items() if not name.endswith("_hooks")]
    functions = [f for f in _reachable(attributes, {id(m) for m in modules}) if isinstance(f, FunctionType)]
    made: list[tuple[FunctionType, FunctionType]] = []
    for function in functions:
        held = [function.__globals__.get(name) for name in _names(function)]
        if any(value is module for value in held for module in modules):
            raise TypeError(f"{function.__qualname__} uses the network through a global variable")
        if any(isinstance(value, OWN) for value in _reachable(_inside(function))):
            cells = tuple(CellType() for _ in function.__closure__ or ())
            own = FunctionType(function.__code__, function.__globals__, function.__name__, None, cells)
            memo[id(function)] = own
            made.append((function, own))
    known = dict(memo)
    try:
        found = copy.deepcopy(net, memo)
    except Exception:  # whatever an attribute raises that cannot be copied
        memo = known | {id(v): v for v in _reachable(attributes, known) if _cannot_be_copied(v, known)}
        found = copy.deepcopy(net, memo)
    for function, own in made:  # only now: what they hold on to may be the network itself
        own.__dict__.update(function.__dict__)
        own.__defaults__ = copy.deepcopy(function.__defaults__, memo)
        own.__kwdefaults__ = copy.deepcopy(function.__kwdefaults__, memo)
        for cell, mine in zip(function.__closure__ or (), own.__closure__ or (), strict=True):
            for value in _contents(cell):
                mine.cell_contents = copy.deepcopy(value, memo)
    return found


def _cannot_be_copied(value: Any, memo: dict[int, Any]) -> bool:
    if isinstance(value, OWN) or any(True for _ in _inside(value)):  # what is inside is looked at by itself
        return False
    try:
        copy.deepcopy(value, dict(memo))
    except Exception:
        return True
    return False


def _reachable(values: Iterable[Any], known: Iterable[int] = ()) -> Iterator[Any]:
    """Yield objects and what is inside them; modules and tensors themselves, but nothing of theirs."""
    known, waiting = set(known), list(values)
    while waiting:
        value = waiting.pop()
        if isinstance(value, ATOMIC) or id(value) in known:
            continue
        known.add(id(value))
        yield value
        if not isinstance(value, OWN):
            waiting += _inside(value)


def _inside(value: Any) -> Iterator[Any]:
    if isinstance(value, dict):
        yield from value.values()
    elif isinstance(value, (list, tuple, set, frozenset, deque)):
        yield from value
    elif isinstance(value, functools.partial):
        yield from (value.func, *value.args, *value.keywords.values())
    elif isinstance(value, MethodType):
        yield value.__self__
    elif isinstance(value, FunctionType):
        yield from (content for cell in value.__closure__ or () for content in _contents(cell))
        yield from (*(value.__defaults__ or ()), *(value.__kwdefaults__ or {}).values())
    else:
        yield from getattr(value, "__dict__", {}).values()


def _contents(cell: CellType) -> tuple[Any, ...]:
    try:
        return (cell.cell_contents,)
    except ValueError:  # a variable that has no value yet
        return ()


def _names(function: FunctionType) -> Iterator[str]:
    """Return the global names in a function's code and in the functions defined inside it."""
    waiting = [function.__code__]
    while waiting:
        code = waiting.pop()
        yield from code.co_names
        waiting += [c for c in code.co_consts if hasattr(c, "co_names")]
