"""The other companies, simulated: real wire formats over real HTTP. Imports nothing of the product."""
