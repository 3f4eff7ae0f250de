"""Arrangers: (`LeadSheet`, source `Score`) -> `Score`."""
