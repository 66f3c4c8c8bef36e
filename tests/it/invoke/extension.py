#!/var/lang/bin/python3
"""An extension that notes its events in /tmp/events, and telemetry in /tmp/telemetry."""
import http.client
import http.server
import json
import os
import socketserver
import sys
import threading
import time

API = os.environ["AWS_LAMBDA_RUNTIME_API"]
NAME = os.path.basename(sys.argv[0])
assert "_HANDLER" not in os.environ


def call(method, path, body=None, headers=None):
    connection = http.client.HTTPConnection(API)
    connection.request(method, path, json.dumps(body) if body is not None else None, headers or {})
    answer = connection.getresponse()
    text = answer.read().decode()
    assert answer.status < 300, (answer.status, text)
    return answer, text


def note(file, text):
    with open("/tmp/" + file, "a") as notes:
        notes.write(text.strip() + "\n")


def listen(kind):
    class Http(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self):
            for event in json.loads(self.rfile.read(int(self.headers["Content-Length"]))):
                note("telemetry", json.dumps(event))
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_):
            pass

    class Lines(socketserver.StreamRequestHandler):
        def handle(self):
            for line in self.rfile:
                note("telemetry", line.decode())

    if kind == "tcp":
        server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Lines)
    else:
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Http)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server.server_address[1]


# before the registration
headers = {"Lambda-Extension-Name": NAME, "Lambda-Extension-Accept-Feature": "accountId"}
answer, text = call("POST", "/2020-01-01/extension/register", {"events": ["INVOKE", "SHUTDOWN"]}, headers)
ours = {"Lambda-Extension-Identifier": answer.getheader("Lambda-Extension-Identifier")}
note("events", text)


def init_error(kind, body):
    call("POST", "/2020-01-01/extension/init/error", body, {**ours, "Lambda-Extension-Function-Error-Type": kind})
    sys.exit(1)


# after the registration
kind = os.environ.get("SUBSCRIBES")
if kind:
    port = listen(kind)
    to = {"protocol": "TCP", "port": port} if kind == "tcp" else \
        {"protocol": "HTTP", "URI": "http://sandbox.localdomain:%d/" % port}
    body = {"schemaVersion": "2022-12-13", "types": ["platform", "function", "extension"], "destination": to,
            "buffering": {"timeoutMs": int(os.environ.get("BUFFERS", "25")), "maxItems": 1000, "maxBytes": 262144}}
    path = "/2020-08-15/logs" if kind == "logs" else "/2022-07-01/telemetry"
    call("PUT", path, body, ours)
while True:
    _, text = call("GET", "/2020-01-01/extension/event/next", headers=ours)
    event = json.loads(text)
    note("events", text)
    if event["eventType"] == "SHUTDOWN":
        if kind:
            with open("/tmp/telemetry") as file:
                print("extension: got " + " ".join(json.loads(line)["type"] for line in file), flush=True)
        print("extension: SHUTDOWN " + event["shutdownReason"], flush=True)
        break
