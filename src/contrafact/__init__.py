"""Contrafact: the same song in another style."""

__version__ = "0.1.0"
