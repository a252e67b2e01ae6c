"""A world in memory: hosts, people and time, on which the real interpreter runs over the real store without waiting."""
