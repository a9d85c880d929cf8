"""What turns requests into tokens on one device, behind one interface: `torch` computes, `sim` follows a script."""
