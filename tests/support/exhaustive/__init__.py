"""Every state that a small closed world round the real broker core can reach, and a proof that nobody is stuck in it."""
