"""The sockets that spans come in by."""
