"""What models wrote and how likely they found texts, read without torch.

This room imports `core` and `texts`.
"""
