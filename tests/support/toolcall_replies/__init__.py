"""Replies as models write them, a module for each kind of format. Each has `VECTORS`."""
