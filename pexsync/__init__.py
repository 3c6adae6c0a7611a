"""The project: settings, addresses, who people are, and the pages around the connectors."""
