"""cortex-ctl: an operator's questions and commands to a broker. Knows the protocol and nothing of the broker."""
