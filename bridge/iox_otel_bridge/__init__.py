"""The OpenTelemetry side of iox-otel: spans out as Jaeger UDP, OTLP or to the terminal."""
