"""`retune export`: write a model for ONNX Runtime or OpenVINO, with the score that it then has."""
