"""Hooks into other libraries, a module for each; each needs that library, which it imports."""
