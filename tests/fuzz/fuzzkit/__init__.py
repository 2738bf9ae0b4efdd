"""Fuzzing the viewer's decoders: a file for each, and what measures and repeats them."""
