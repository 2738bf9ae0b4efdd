"""Test doubles for code that records spans."""
