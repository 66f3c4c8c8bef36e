import base64
import os

PAGE = """<!doctype html><meta charset="utf-8"><title>page</title>
<p id="query">%s</p><p id="posted"></p><p id="picture"></p><p id="cookie"></p>
<img src="/pixel.png" onload="document.getElementById('picture').textContent = this.naturalWidth + 'x' + this.naturalHeight">
<script>
fetch("/form", {method: "POST", body: new URLSearchParams({field: "é value"})})
  .then((answer) => answer.json())
  .then((answer) => {
    document.getElementById("posted").textContent = "posted: " + decodeURIComponent(answer.body.replace(/\\+/g, " "));
    document.getElementById("cookie").textContent = answer.cookies.find((cookie) => cookie.startsWith("session="));
  });
</script>
"""


def escape(text):
    return text.replace("&", "&amp;").replace("<", "&lt;")


def handler(event, context):
    path = event["rawPath"]
    if path == "/page":
        name = event.get("queryStringParameters", {}).get("name", "")
        return {"statusCode": 200, "headers": {"Content-Type": "text/html; charset=utf-8"},
                "cookies": ["session=a1", "other=2"], "body": PAGE % escape(name)}
    if path == "/pixel.png":
        with open(os.path.join(os.environ["LAMBDA_TASK_ROOT"], "pixel.png"), "rb") as file:
            body = base64.b64encode(file.read()).decode()
        return {"statusCode": 200, "headers": {"content-type": "image/png"}, "body": body, "isBase64Encoded": True}
    if path == "/form":
        return {"body": event["body"], "cookies": event.get("cookies", [])}
    if path.startswith("/echo"):
        return event
    if path == "/value":
        return {"a": 1}
    if path == "/text":
        return "é"
    if path == "/error":
        raise ValueError("not for the client")
    if path == "/bad-status":
        return {"statusCode": "none"}
    if path == "/switching":
        return {"statusCode": 101}
    if path == "/float":
        return {"statusCode": 203.0}
    if path == "/bad-header":
        return {"statusCode": 200, "headers": {"a b": "c"}}
    if path == "/bad-base64":
        return {"statusCode": 200, "body": "%", "isBase64Encoded": True}
    return {"statusCode": 404, "body": "missing"}
