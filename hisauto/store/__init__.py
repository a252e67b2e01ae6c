"""The record: runs, attempts, decisions, locks and the audit log, on SQLite or PostgreSQL.

schema → database (one transaction: state, audit entry, wake-up) → journal (one run, one epoch) → store (the rest)
"""
