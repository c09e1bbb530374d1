"""The domain: units, vouchers, rating, the book, settlement.

Knows no Slurm, no clock, no terminal.
"""
