"""Paths of the tests' own files."""

import os

TESTS_DIR = os.path.dirname(os.path.abspath(__file__))
GOLDEN = os.path.join(TESTS_DIR, "golden")
TOY_MODEL = os.path.join(GOLDEN, "toy_model.mat")
