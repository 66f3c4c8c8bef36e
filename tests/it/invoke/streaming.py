#!/var/lang/bin/python3
"""A runtime that streams its responses, over sockets: chunks, and trailers for an error."""
import base64
import json
import os
import socket
import sys
import time

HOST, PORT = os.environ["AWS_LAMBDA_RUNTIME_API"].split(":")


def connect():
    return socket.create_connection((HOST, int(PORT)))


def request(method, path, headers, body=b""):
    stream = connect()
    lines = ["%s /2018-06-01/runtime/%s HTTP/1.1" % (method, path), "Host: api", "Content-Length: %d" % len(body)]
    lines += ["%s: %s" % pair for pair in headers.items()]
    stream.sendall(("\r\n".join(lines) + "\r\n\r\n").encode() + body)
    return answer(stream)


def answer(stream):
    reader = stream.makefile("rb")
    status = int(reader.readline().split()[1])
    headers = {}
    while (line := reader.readline().strip()):
        name, value = line.decode().split(": ", 1)
        headers[name.lower()] = value
    return status, headers, reader.read(int(headers.get("content-length", 0)))


def chunk(stream, data):
    stream.sendall(b"%x\r\n%s\r\n" % (len(data), data))


def stream_response(id, event):
    stream = connect()
    http = event.get("http")
    kind = "application/vnd.awslambda.http-integration-response" if http else "text/plain"
    head = "POST /2018-06-01/runtime/invocation/%s/response HTTP/1.1\r\nHost: api\r\nTransfer-Encoding: chunked\r\n" % id
    head += "Lambda-Runtime-Function-Response-Mode: streaming\r\nContent-Type: %s\r\n" % kind
    error = event.get("error")
    if error:
        head += "Trailer: Lambda-Runtime-Function-Error-Type, Lambda-Runtime-Function-Error-Body\r\n"
    stream.sendall((head + "\r\n").encode())
    if http:
        metadata = json.dumps(http).encode()
        # the end of the metadata comes in two pieces
        chunk(stream, metadata + bytes(3))
        chunk(stream, bytes(5))
    for piece in event["pieces"]:
        chunk(stream, piece.encode())
        time.sleep(event.get("pause", 0))
    trailers = ""
    if error:
        trailers = "Lambda-Runtime-Function-Error-Type: %s\r\n" % error[0]
        trailers += "Lambda-Runtime-Function-Error-Body: %s\r\n" % base64.b64encode(error[1].encode()).decode()
    stream.sendall(b"0\r\n" + trailers.encode() + b"\r\n")
    return answer(stream)


def refusals(id):
    def named(status, _, body):
        try:
            return [status, json.loads(body).get("errorType")]
        except ValueError:
            return [status, None]
    found = {
        "other id": named(*request("POST", "invocation/other/response", {}, b"1")),
        "unknown": named(*request("GET", "nothing", {})),
        "mode": named(*request("POST", "invocation/%s/response" % id, {"Lambda-Runtime-Function-Response-Mode": "x"}, b"1")),
        "twice": named(*request("POST", "invocation/%s/response" % id, {}, b"2")),
    }
    print(json.dumps(found, sort_keys=True), file=sys.stderr, flush=True)


asked = False
while True:
    _, headers, body = request("GET", "invocation/next", {})
    id, event = headers["lambda-runtime-aws-request-id"], json.loads(body)
    if "requestContext" in event:
        event = json.loads(event["body"])
    if event.get("refusals"):
        refusals(id)
    else:
        status, _, text = stream_response(id, event)
        assert status == 202, (status, text)
