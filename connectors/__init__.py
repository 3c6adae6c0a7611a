"""The outside systems: what they share, then one folder each with the same rooms."""
