"""Who may say yes: what is signed, whether a signature holds, and what the votes come to. No I/O but in ``signing``."""
