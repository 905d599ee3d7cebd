"""The stages of sentiment: sentences, their augmentation, and models that tell good from bad."""
