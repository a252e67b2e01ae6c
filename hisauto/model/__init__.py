"""The nouns everything meets through: host, run, attempt, result, and the protocols of the floor above."""
