"""An ONNX file in every runtime that is installed: which read it, how well, how fast."""
