"""Traced tasks: TRACES_EXPORTER=console celery -A celery_app worker

And, in another terminal, one that is sent from within a trace: TRACES_EXPORTER=console python
celery_app.py. (The broker is a folder here, so that it runs without one.)
"""

import os
import tempfile
from pathlib import Path

from celery import Celery

from iox_otel import Span, SpanRecorder, traced
from iox_otel.hooks.celery import TracedTasks
from iox_otel_bridge import TracingConfig

folder = Path(os.environ.get("TASKS", tempfile.gettempdir())) / "iox-otel-tasks"
folder.mkdir(parents=True, exist_ok=True)
folders = {"data_folder_in": str(folder), "data_folder_out": str(folder)}
app = Celery("celery_app", broker="filesystem://", broker_transport_options=folders)

tracing = TracingConfig.from_env(service_name="shop-tasks").build()
TracedTasks(tracing.collector, tracing.header_parser)


@traced("render")
def render(cart: str) -> str:
    return f"Your cart {cart} is on its way."


@app.task  # type: ignore[untyped-decorator]  # Celery ships no types
def send_mail(cart: str) -> str:
    return render(cart)


if __name__ == "__main__":
    with SpanRecorder(Span.root("checkout", tracing.collector)):
        send_mail.delay("c-1")
