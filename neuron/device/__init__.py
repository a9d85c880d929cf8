"""A device process: the device thread that owns engine and sockets, and the pulse thread that tells it lives."""
