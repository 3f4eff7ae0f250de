"""Contrafact: the same song in another style.

The verbs `cover`, `transcribe`, `leadsheet`, `arrange` and `render` are in
`contrafact.cover`, what may be asked of it in `contrafact.settings`.
"""

__version__ = "0.1.0"
