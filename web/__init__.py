"""A page on this machine to drop photos on: ``python -m web``."""
