"""What kind of interpreter this runs in, and what cannot work there."""

from __future__ import annotations

import sys
from importlib import import_module

SUB_INTERPRETER = (
    "iox_otel_bridge sends spans from the main interpreter only: a sub-interpreter that ends while "
    "a thread of an exporter runs takes the whole process with it"
)
GREENLETS_STOP = (
    "gevent has patched this process, and gRPC was not told: while it waits for a receiver no "
    "greenlet runs. Call grpc.experimental.gevent.init_gevent() after patch_all(), or use "
    "http/protobuf"
)


def is_sub_interpreter() -> bool:
    """Return whether this is another interpreter than the one the process began with."""
    for module in ("_interpreters", "_xxsubinterpreters"):  # from Python 3.13 on, and before
        try:
            interpreters = import_module(module)
        except ImportError:
            continue
        return bool(interpreters.get_current() != interpreters.get_main())
    return False  # a Python without them


def greenlets_stop_for_grpc() -> bool:
    """Return whether gevent has made greenlets of threads, and gRPC does not know of it."""
    monkey = sys.modules.get("gevent.monkey")
    if monkey is None or not monkey.is_module_patched("threading"):
        return False
    cygrpc = sys.modules.get("grpc._cython.cygrpc")
    return not getattr(cygrpc, "g_gevent_activated", True)
