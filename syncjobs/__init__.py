"""The mirror of PEX, coding, window, ledger, engine, schedule, history."""
