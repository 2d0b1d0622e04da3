"""Why this answer: attribution methods. Importing the package fills the registry."""

from . import attention, cam, gradient

__all__ = ["attention", "cam", "gradient"]
