"""Rims that every process needs: sockets, settings, logging, metrics, signals. The wire half never imports this."""
