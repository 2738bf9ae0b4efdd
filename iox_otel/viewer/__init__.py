"""The local trace viewer behind `iox-otel viewer`; `mount` puts it into an application."""

from .embedded import mount

__all__ = ["mount"]
