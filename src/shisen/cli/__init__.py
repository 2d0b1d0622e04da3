"""The command line: parse, call the verb, write, say what was written."""

from .main import main

__all__ = ["main"]
