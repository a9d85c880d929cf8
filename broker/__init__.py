"""Decides: which neuron serves a request, who waits, who is gone. Never sees a prompt, a tensor or HTTP."""
