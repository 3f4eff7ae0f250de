"""Contrafact: the same song in another style.

The verbs `cover`, `transcribe`, `leadsheet`, `arrange` and `render`, and the `Settings` of a cover, are in
`contrafact.cover`.
"""

__version__ = "0.1.0"
