"""How hosts are reached: persistent POSIX shells, and receipts on the host for what changes something."""
