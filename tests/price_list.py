"""A small server in the place of Azure's public price list."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

# A row as the documentation page "Azure Retail Prices overview" shows it.
ROW = {
    "currencyCode": "USD",
    "tierMinimumUnits": 0.0,
    "retailPrice": 0.096,
    "unitPrice": 0.096,
    "armRegionName": "westeurope",
    "location": "EU West",
    "effectiveStartDate": "2021-11-01T00:00:00Z",
    "meterId": "00000000-0000-0000-0000-000000000000",
    "meterName": "D2s v3",
    "productId": "DZH318Z0BQ3P",
    "skuId": "DZH318Z0BQ3P/001J",
    "productName": "Virtual Machines DSv3 Series",
    "skuName": "D2s v3",
    "serviceName": "Virtual Machines",
    "serviceId": "DZH313Z7MMC8",
    "serviceFamily": "Compute",
    "unitOfMeasure": "1 Hour",
    "type": "Consumption",
    "isPrimaryMeterRegion": True,
    "armSkuName": "Standard_D2s_v3",
}


@contextmanager
def served(answer: Callable[[BaseHTTPRequestHandler], None]) -> Iterator[str]:
    """A server that answers each GET so; its address."""
    handler = type("Handler", (BaseHTTPRequestHandler,), {"do_GET": answer, "log_message": lambda *_: None})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/api/retail/prices"
        finally:
            server.shutdown()
            thread.join()


def send(handler: BaseHTTPRequestHandler, body: object, status: int = 200) -> None:
    handler.send_response(status)
    handler.end_headers()
    handler.wfile.write(body if isinstance(body, bytes) else json.dumps(body).encode())


def page(items: list, link: str | None = None) -> dict:
    named = {"BillingCurrency": "USD", "CustomerEntityId": "Default", "CustomerEntityType": "Retail"}
    return named | {"Items": items, "NextPageLink": link, "Count": len(items)}
