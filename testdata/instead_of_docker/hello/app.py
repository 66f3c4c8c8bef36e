import os
import platform


def handler(event, context):
    words = open("words.txt").read().strip() if os.path.exists("words.txt") else None
    return {
        "event": event,
        "greeting": os.environ.get("GREETING"),
        "words": words,
        "machine": platform.machine(),
    }
