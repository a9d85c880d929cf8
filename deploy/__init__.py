"""Puts the parts together: the command line, the whole of cortex.toml, the launcher, the metrics exporter."""
