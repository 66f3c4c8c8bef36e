import json
import platform
import sys


def handler(event, context):
    return {
        "message": "hello from python",
        "nonce": event.get("nonce"),
        "python": "%d.%d" % sys.version_info[:2],
        "machine": platform.machine(),
    }


if __name__ == "__main__":
    print(json.dumps(handler({"nonce": "local"}, None)))
