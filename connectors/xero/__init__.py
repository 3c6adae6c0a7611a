"""Xero: spend and receive money on the bank account that stands for PEX."""
