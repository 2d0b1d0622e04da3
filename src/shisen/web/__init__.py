"""A page in the browser that does what the command line does: a skin over the verbs, nothing of its own."""
