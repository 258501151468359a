"""Landmark accuracy on AFLW2000-3D: protocol, data, plots."""
