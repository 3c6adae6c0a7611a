"""What the product costs, measured: the real engine against the simulated companies in a process of their own."""
