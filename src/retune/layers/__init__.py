"""Parts of models that several variants share."""
