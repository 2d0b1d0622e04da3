"""Which network, and what it expects: loading, preprocessing, labels, images."""
