"""Styles: one TOML file each; which arranger and players, on which instruments, in which mix."""
