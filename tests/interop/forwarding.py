# SPDX-License-Identifier: Apache-2.0
"""A handler of http.server that passes each request on to one registry and its answer back, for proxies that look at them."""

import http.client
import http.server
import urllib.parse


class Forwarding(http.server.BaseHTTPRequestHandler):
    """self.server.target is the registry, "host:port". note(bytes of the body) is told of each request."""

    protocol_version = "HTTP/1.1"

    def note(self, size):
        """For subclasses."""

    def forward(self):
        url = urllib.parse.urlsplit(self.path)          # of a proxy's request a whole URL
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.note(len(body))
        c = http.client.HTTPConnection(self.server.target)
        c.putrequest(self.command, url.path + (f"?{url.query}" if url.query else ""), skip_host=True, skip_accept_encoding=True)
        for k, v in self.headers.items():
            if not k.lower().startswith("proxy-"):
                c.putheader(k, v)
        c.endheaders(body)
        answer = c.getresponse()
        data = answer.read()
        self.send_response(answer.status)
        for k, v in answer.getheaders():
            if k.lower() not in ("transfer-encoding", "connection", "content-length"):
                self.send_header(k, v)
        self.send_header("Content-Length", answer.getheader("Content-Length", "0") if self.command == "HEAD" else str(len(data)))
        self.end_headers()
        self.wfile.write(data)
        c.close()

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = forward

    def log_message(self, *_):
        pass
