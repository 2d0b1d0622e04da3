"""The network side for keras."""
