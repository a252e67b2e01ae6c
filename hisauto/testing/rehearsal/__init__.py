"""Model checking for runbooks: the real interpreter on a world that answers by facts, through every fault in turn."""
