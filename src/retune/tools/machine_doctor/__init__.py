"""`retune doctor --env`: what this machine is, and what is wrong with it for the project."""
