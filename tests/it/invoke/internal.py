import http.client
import json
import os
import threading

API = os.environ["AWS_LAMBDA_RUNTIME_API"]
events = []
got = threading.Event()


def call(method, path, body, headers):
    connection = http.client.HTTPConnection(API)
    connection.request(method, "/2020-01-01/extension/" + path, body, headers)
    answer = connection.getresponse()
    return answer, answer.read()


answer, _ = call("POST", "register", json.dumps({"events": ["INVOKE"]}), {"Lambda-Extension-Name": "internal"})
ours = {"Lambda-Extension-Identifier": answer.getheader("Lambda-Extension-Identifier")}


def follow():
    while True:
        _, text = call("GET", "event/next", None, ours)
        events.append(json.loads(text)["eventType"])
        got.set()


threading.Thread(target=follow, daemon=True).start()


def handler(event, context):
    got.wait(5)
    late, _ = call("POST", "register", json.dumps({"events": []}), {"Lambda-Extension-Name": "late"})
    return {"events": events, "late": late.status}
