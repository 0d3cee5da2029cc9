"""A service that stands in for yours: `python examples/own_checks/serve.py 9000` says how red pictures are."""

import io
import json
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
from PIL import Image


class Scorer(BaseHTTPRequestHandler):
    """Answers `POST /score` with the share of red pixels."""

    protocol_version = "HTTP/1.1"  # connections stay open

    def do_POST(self) -> None:
        """Score the picture in the body."""
        data = self.rfile.read(int(self.headers["Content-Length"]))
        try:
            with Image.open(io.BytesIO(data)) as image:
                red, green, blue = np.moveaxis(np.asarray(image.convert("RGB"), dtype=np.int16), 2, 0)
            share = float((red > np.maximum(green, blue) + 60).mean())
            status, said = 200, {"score": round(share, 4), "reason": f"{share:.0%} of it is red"}
        except OSError as error:
            status, said = 422, {"error": str(error)}
        body = json.dumps(said).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing of single requests."""


if __name__ == "__main__":
    ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Scorer).serve_forever()
