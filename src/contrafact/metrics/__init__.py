"""Metrics of content kept and style reached; each module validates, measures, and gathers its figures in `evaluate`."""
