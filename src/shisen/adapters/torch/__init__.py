"""The network side for torch."""
