"""Training: one explicit loop for all methods, its checkpoints, and the export to ONNX. Needs the extra ``train``."""
