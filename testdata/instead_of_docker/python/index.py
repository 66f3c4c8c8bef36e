import idna.core


def handler(event, context):
    return {"name": event["name"].encode("idna").decode(), "x": idna.core.x}
