"""Trace context in HTTP requests: headers in and out, and the layer that opens a span a request."""
