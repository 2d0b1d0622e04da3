"""What can be loaded by name."""

from __future__ import annotations

from .recipes import RECIPES

FORMS = (
    ("package.module:build", "a function of your own that returns a torch or Keras network", "--weights, --labels"),
)


def listing(search: str = "") -> list[tuple[str, str, str]]:
    """Return `(name, what it is, what it needs)` for built-in models and for the forms of other names."""
    built_in = [(name, recipe.summary, recipe.weights) for name, recipe in RECIPES.items()]
    return [row for row in (*built_in, *FORMS) if search.lower() in row[0].lower()]
