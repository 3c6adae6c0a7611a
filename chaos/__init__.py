"""`make chaos`: the real product, killed, frozen and lied to at random, and a stranger who checks the books.

Nothing in the product knows of it. The parts run as processes of their own and talk over real HTTP to the simulated
companies; a seeded schedule breaks them; in the end a checker that imports no line of the product compares what PEX
says, what the books hold and what the ledger claims.
"""
