"""The tags of PEX: their definitions as last read, and what their values mean."""
