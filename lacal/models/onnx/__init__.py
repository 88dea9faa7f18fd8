"""ONNX models, by onnx and onnxruntime: run one, find its head, write it adjusted."""
