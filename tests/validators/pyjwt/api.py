"""An API that checks tokens with PyJWT, as its documentation shows: on each port, for one audience and one scope."""

import json
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import jwt


def server(port, issuer, jwks, audience, algorithm, scope):
    keys = jwt.PyJWKClient(jwks)

    class Api(BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(self.status())
            self.send_header("Content-Length", "0")
            self.end_headers()

        def status(self):
            token = self.headers.get("Authorization", "").removeprefix("Bearer ")
            try:
                key = keys.get_signing_key_from_jwt(token)
                claims = jwt.decode(token, key.key, algorithms=[algorithm], audience=audience, issuer=issuer)
            except jwt.PyJWTError:
                return 401
            return 200 if scope in claims["scope"].split() else 403

        def log_message(self, *_):
            pass

    return ThreadingHTTPServer(("127.0.0.1", port), Api)


with open(sys.argv[1]) as file:
    servers = [server(**one) for one in json.load(file)]
threads = [threading.Thread(target=one.serve_forever) for one in servers]
for thread in threads:
    thread.start()
