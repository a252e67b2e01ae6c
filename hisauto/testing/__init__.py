"""A world in memory, on which the real interpreter runs over the real store: hosts, people and time, nothing that waits."""
