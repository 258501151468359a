"""The version of this code, as records and documents give it."""

VERSION = "1.0.0"
