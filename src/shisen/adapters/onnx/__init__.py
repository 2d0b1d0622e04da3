"""The network side for onnx."""
