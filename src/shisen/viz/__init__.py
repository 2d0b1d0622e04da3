"""Arrays in, images out: scaling, color, overlays, figures and files. Nothing here calls a model."""
