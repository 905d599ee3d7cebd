"""The stages of extractive question answering."""
