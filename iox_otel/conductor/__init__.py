"""The server behind `iox-otel run`: a small database that speaks InfluxDB 3, and is traced."""
