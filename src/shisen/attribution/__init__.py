"""Why this answer: attribution methods. Importing the package fills the registry."""

from . import cam, gradient

__all__ = ["cam", "gradient"]
