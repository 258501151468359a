"""Clips: faces tracked through videos, smooth motion, and its files."""
