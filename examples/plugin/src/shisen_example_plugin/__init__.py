"""An attribution method, a metric and a kind of artefact for shisen."""
