"""Renderers: `Score` -> one `Recording` a part."""
