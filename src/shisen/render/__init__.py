"""Arrays in, pictures out: scaling, colour, overlays, figures and files. Nothing here calls a model."""
