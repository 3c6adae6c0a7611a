"""`make demo`: the whole product and the simulated companies on one machine, with no service to install."""
