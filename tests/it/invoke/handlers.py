"""Handlers for the tests of invocations: the event names one."""
import ctypes
import json
import os
import socket
import subprocess
import sys
import threading
import time


class OwnError(Exception):
    pass


def numbers(event, context):
    return [0, -1, 1.5, 1e300, True, None]


def raised(event, context):
    raise OwnError("of the function: é \"quoted\"")


def key_error(event, context):
    return event["missing"]


def cause(event, context):
    try:
        raise ValueError("the cause")
    except ValueError as error:
        raise OwnError("the effect") from error


def no_json(event, context):
    return {1, 2}


def not_a_number(event, context):
    return float("nan")


def seen(event, context):
    """What a function sees of Lambda, but for what differs with each machine and invocation."""
    names = ("AWS_LAMBDA_FUNCTION_NAME", "AWS_LAMBDA_FUNCTION_VERSION", "AWS_LAMBDA_FUNCTION_MEMORY_SIZE",
             "AWS_LAMBDA_LOG_GROUP_NAME", "AWS_LAMBDA_LOG_STREAM_NAME", "_HANDLER", "LAMBDA_TASK_ROOT",
             "LAMBDA_RUNTIME_DIR")
    return {
        "context": [context.function_name, context.function_version, context.memory_limit_in_mb,
                    context.invoked_function_arn, context.log_group_name, context.log_stream_name],
        "time": 290_000 < context.get_remaining_time_in_millis() <= 300_000,
        "id": len(context.aws_request_id),
        "client": context.client_context and context.client_context.custom,
        "environment": {name: os.environ.get(name) for name in names},
        "directory": os.getcwd(),
        "user": [os.getuid(), os.getgid()],
        "tmp": os.listdir("/tmp"),
    }


def text(event, context):
    return event["text"]


def large(event, context):
    return "x" * event["size"]


def logs(event, context):
    print("to standard output é")
    print("to standard error", file=sys.stderr)
    sys.stdout.write("without an end")
    return None


def resolves(event, context):
    return socket.gethostbyname("sandbox.localdomain")


def exits(event, context):
    os._exit(event["code"])


def system_exit(event, context):
    sys.exit(event["code"])


def killed(event, context):
    os.kill(os.getpid(), event["signal"])
    time.sleep(10)


def crashes(event, context):
    ctypes.string_at(0)


def forks(event, context):
    for _ in range(5):
        subprocess.Popen(["/usr/bin/sleep", event["seconds"]], start_new_session=True)
    return "forked"


def daemon(event, context):
    """A process that leaves its parents, and ignores signals."""
    script = "trap '' TERM HUP INT; (trap '' TERM HUP INT; sleep " + event["seconds"] + ") & wait"
    subprocess.Popen(["/bin/sh", "-c", "(" + script + ") &"], start_new_session=True).wait()
    return "left"


def sleeps(event, context):
    time.sleep(event["seconds"])
    return "slept"


def eats(event, context):
    held = []
    while True:
        held.append(bytearray(os.urandom(1 << 20)))


def writes(event, context):
    with open(event["path"], "w") as file:
        file.write("x")
    return "written"


def fills(event, context):
    with open("/tmp/file", "wb") as file:
        for _ in range(event["megabytes"]):
            file.write(bytes(1 << 20))
    return os.path.getsize("/tmp/file")


def prints(event, context):
    line = "y" * 1023
    for _ in range(event["kilobytes"]):
        print(line)
    return "printed"


def one_line(event, context):
    """Output that never has an end of line."""
    for _ in range(event["megabytes"]):
        os.write(1, b"z" * (1 << 20))
    return "printed"


def floods(event, context):
    """A process that goes on writing."""
    if os.fork() == 0:
        while True:
            os.write(1, b"w\n" * 32768)
    return "left"


def process(event, context):
    with open("/proc/self/status") as status:
        rights = [line.split()[1] for line in status if line.startswith("NoNewPrivs")]
    with open("/proc/1/cmdline") as line, open("/proc/1/comm") as name:
        return rights + [line.read().strip("\0"), name.read().strip()]


def changes(event, context):
    """Changes the mode and the times of its own file; returns those that it had."""
    path = os.path.abspath(__file__)
    found = os.stat(path)
    os.chmod(path, 0o777)
    os.utime(path, (1, 1))
    return [oct(found.st_mode), int(found.st_mtime)]


def count(event, context):
    """The invocations that this process has had."""
    count.value += 1
    return count.value


count.value = 0


def threads(event, context):
    """More processes and threads than an account may have."""
    made = []
    try:
        for _ in range(3000):
            thread = threading.Thread(target=time.sleep, args=(5,), daemon=True)
            thread.start()
            made.append(thread)
    except RuntimeError:
        pass
    return len(made)


def files(event, context):
    held = []
    try:
        for _ in range(3000):
            held.append(open("/dev/null"))
    except OSError as error:
        return [error.errno, 900 < len(held) < 1024]


def shared_memory(event, context):
    import multiprocessing
    try:
        multiprocessing.Queue()
        return "has shared memory"
    except (OSError, ImportError, FileNotFoundError):
        return "none"


def listens(event, context):
    server = socket.socket()
    server.bind(("127.0.0.1", event["port"]))
    server.listen()
    return "listens"


def notes(event, context):
    """What an extension has noted in /tmp, as soon as it has some text."""
    text = ""
    for _ in range(100):
        if os.path.exists("/tmp/" + event["file"]):
            with open("/tmp/" + event["file"]) as file:
                text = file.read()
        if event["until"] in text:
            break
        time.sleep(0.05)
    return text


def handler(event, context):
    if not isinstance(event, dict) or "do" not in event:
        return event
    return globals()[event["do"]](event, context)
