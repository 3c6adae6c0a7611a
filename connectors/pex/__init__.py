"""PEX: the card accounts everything comes from. How we come in, its wire, and its rows as our records."""
