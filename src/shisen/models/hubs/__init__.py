"""Networks of the public hubs, with the preprocessing and the labels that their authors publish."""
