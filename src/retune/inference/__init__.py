"""Use a trained model: `retune.Reader`, which the commands and the server share."""
