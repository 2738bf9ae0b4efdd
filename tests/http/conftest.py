"""What the tests of `iox_otel.http` share."""

from __future__ import annotations

import warnings

# Starlette 1.x warns, once, at this import, that it will want another HTTP client; importing it
# here keeps the warning out of the tests, where it would be an error.
with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import starlette.testclient  # noqa: F401
