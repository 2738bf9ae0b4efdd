"""A traced script, no web framework: TRACES_EXPORTER=console python script.py"""

from iox_otel import Span, SpanRecorder
from iox_otel_bridge import TracingConfig

with (
    TracingConfig.from_env(service_name="nightly-report").build() as tracing,
    SpanRecorder(Span.root("nightly report", tracing.collector)) as report,
):
    with report.child("read orders") as recorder:
        recorder.set_metadata("orders", 1_284)
    with report.child("send mail") as recorder:
        recorder.event("connected", server="mail.example.com")
        recorder.ok("sent")
