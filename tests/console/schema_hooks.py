"""What schemathesis has to be told of the API: loaded by its own process, see test_schema."""

from __future__ import annotations

import schemathesis


@schemathesis.serializer("application/x-ndjson")
def lines(context: schemathesis.SerializationContext, value: object) -> bytes:
    """Text as it is: a line is an outcome, or is wrong and costs only itself."""
    return str(value).encode("utf-8", "surrogatepass")
