"""Measurements of speed, memory and accuracy: commands that print their figures."""
