"""Torch layers that two methods or more use."""
