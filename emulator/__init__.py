"""Pretend networks with faults and a ledger of the truth."""
