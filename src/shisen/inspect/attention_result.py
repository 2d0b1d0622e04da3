"""What is common to the attention over a whole image and to that within windows."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from .._core.writers import write
from ..types import InputImage


class AttentionResult:
    """What the attention over the whole image and that within windows have in common: files and their record."""

    image: InputImage
    layers: tuple[str, ...]
    model: str

    @property
    def query(self) -> str:
        """Whose attention is shown first."""
        raise NotImplementedError

    def save(self, path: str | Path, lang: str = "en") -> Path:
        """Write the sheet with its manifest (.png, .jpg, .webp), or a page with sliders (.html).

        Args:
            path: of the file.
            lang: code of the page's language.

        Raises:
            InputError: for another suffix or language.
        """
        return write(self, path, lang=lang)

    def _facts(self, sizes: dict[str, Any]) -> dict[str, Any]:
        return {
            "what": "attention of every head",
            "model": self.model,
            "image": {"source": self.image.source, "sha256": self.image.sha256},
            "layers": list(self.layers),
            **sizes,
            "query": self.query,
        }
