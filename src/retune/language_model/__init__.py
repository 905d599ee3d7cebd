"""Language models: what they say next, by which search, and how good it is."""
