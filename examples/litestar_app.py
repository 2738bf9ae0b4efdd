"""A traced Litestar service: TRACES_EXPORTER=console uvicorn litestar_app:app"""

from litestar import Litestar, get

from iox_otel import traced
from iox_otel.http import TraceLayer
from iox_otel_bridge import TracingConfig

tracing = TracingConfig.from_env(service_name="checkout").build()


@traced("load cart")
async def load_cart(cart: str) -> dict[str, int]:
    return {"items": len(cart)}


@get("/checkout/{cart:str}")
async def checkout(cart: str) -> dict[str, int]:
    return await load_cart(cart)


app = TraceLayer(
    Litestar([checkout]),  # type: ignore[arg-type]  # its messages have types of their own
    collector=tracing.collector,
    header_parser=tracing.header_parser,
    name="checkout http",
)
