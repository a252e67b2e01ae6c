"""The record of what was done, by whom and when, and the proof that it was not changed since. Pure: no I/O.

entry → merkle (chain and tree) → note, checkpoint (signatures) → verify → export
"""
