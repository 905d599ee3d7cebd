"""The stages of sentiment."""
