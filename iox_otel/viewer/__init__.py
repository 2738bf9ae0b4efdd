"""The local trace viewer behind `iox-otel viewer`."""
