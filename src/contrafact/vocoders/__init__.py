"""Vocoders: spectral features (batch, bins, frames) -> samples (batch, time)."""
