"""Players: (`LeadSheet`, `Score` so far, seed) -> `Part`.

The lead sheet that a player gets is already arranged: on the style's beat grid, with the style's chords.
Each entry's ``build(config)`` gives a callable ``player(sheet, so_far, seed) -> Part``.
"""
