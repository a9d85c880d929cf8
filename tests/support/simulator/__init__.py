"""A seeded, virtual-time world round the real broker core: modelled neurons, edges, links and faults, and an oracle."""
