"""The way in and out: a launch from the PEX dashboard, PEX OAuth, switching business, signing out."""
