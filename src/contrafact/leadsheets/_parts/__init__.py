"""What readers of lead sheets are made of: measurements of a recording, searches over them, and their assembly."""
