"""Computes: a supervisor per host, one process per device, an engine in each. Knows no other neuron and no HTTP."""
