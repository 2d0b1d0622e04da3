"""A whole folder: predict and attribute every picture, propose shortcuts, prove them by intervention, report.

`shisen.audit` is this package and the verb at once: calling it audits a folder, see `shisen.audit.run.audit`.
"""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any


class _Verb(ModuleType):
    """The package, which can be called: the import of a package puts it in place of a function of its name."""

    def __call__(self, *arguments: Any, **options: Any) -> Any:
        from .run import audit

        return audit(*arguments, **options)


sys.modules[__name__].__class__ = _Verb
