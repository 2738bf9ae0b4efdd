"""The tree of a trace."""
