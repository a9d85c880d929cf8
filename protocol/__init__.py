"""What the edge, the broker and the neurons must agree on: words and their encoding.

Nothing here owns a socket, reads a clock or decides anything. `cortex.protocol.kit` holds the rims that all three
share (sockets, settings, logging, metrics, signals); the wire half never imports it.
"""

WIRE_VERSION = 1
