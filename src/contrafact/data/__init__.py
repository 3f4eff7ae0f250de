"""Readers of open corpora, and songs rendered with known truth."""
