"""Invocations: lbuild, and what can be put together by hand: the unpacked image in namespaces, with Lambda's runtime
interface emulator, which is called by curl. They take turns."""
import collections, http.client, json, os, pathlib, signal, statistics, subprocess, time

from harness import HOME, TARGET, Cost, call, medians, table

BASE = f"oci:{TARGET / 'parts/bases/oci-index'}:python3.11"
FUNCTION = HOME / "testdata/functions/hello-python"
PATH = "/2015-03-31/functions/function/invocations"
WARM = 50

# Starts the emulator in the files of the image, as root of a user namespace, on a port.
SERVE = """\
mount --bind "$ROOT" "$ROOT" && cd "$ROOT"
mount --rbind /dev dev && mount -t proc proc proc && mount -t tmpfs tmpfs tmp
export TEST_EMULATOR_ADDRESS=127.0.0.1:$PORT TEST_RUNTIME_API_ADDRESS=127.0.0.1:$RUNTIME
exec chroot . /bin/sh -c '. /variables && exec /lambda-entrypoint.sh app.handler'
"""
NAMESPACE = ["unshare", "--user", "--map-root-user", "--mount", "--pid", "--fork", "--kill-child", "sh", "-ec", SERVE]
# One invocation, from the start of the emulator to its end.
ONCE = """\
%s >/dev/null 2>&1 &
for attempt in {1..5000}; do { : </dev/tcp/127.0.0.1/$PORT; } 2>/dev/null && break; sleep 0.002; done
curl --silent --fail --data '{"nonce": "n"}' http://127.0.0.1:$PORT%s
kill -KILL $!; wait $! 2>/dev/null || true
"""


def quoted(words):
    return " ".join("'" + word.replace("'", "'\\''") + "'" for word in words)


class Ports:
    """Ports that nobody has; each is used once."""

    def __init__(self):
        import socket
        self.sockets = []
        self.socket = socket

    def next(self):
        listener = self.socket.socket()
        listener.bind(("127.0.0.1", 0))
        port = listener.getsockname()[1]
        listener.close()
        return str(port)


def unpack(harness, image):
    """The files of the image, by umoci, and its variables."""
    bundle = harness.directory / harness.new("bundle")
    call(["umoci", "unpack", "--rootless", "--image", image, bundle])
    config = json.loads((bundle / "config.json").read_text())
    root = bundle / "rootfs"
    keep = [line for line in config["process"]["env"] if not line.startswith(("HOME=", "TERM="))]
    (root / "variables").write_text("".join(f"export {quoted([line])}\n" for line in keep))
    return root


def served(command, port, **variables):
    """The latencies of invocations of a running server, in seconds."""
    with open(os.devnull, "w") as null:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=null, stderr=null, start_new_session=True,
                                   env={**os.environ, **variables})
    try:
        deadline = time.monotonic() + 60
        while True:
            try:
                request(port)
                break
            except OSError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.01)
        return [request(port) for _ in range(WARM)]
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def request(port):
    began = time.perf_counter()
    connection = http.client.HTTPConnection("127.0.0.1", int(port))
    connection.request("POST", PATH, b'{"nonce": "n"}')
    answer = connection.getresponse()
    assert answer.status == 200 and b"hello from python" in answer.read()
    return time.perf_counter() - began


def invoke(harness, code, runs):
    """One invocation, and many of a server."""
    print("### Invoking a function\n")
    layout = harness.directory / harness.new("layout")
    call([harness.lbuild, "build", FUNCTION, "--base", BASE, "--handler=app.handler", "--arch=amd64", "--no-check", "--to",
          f"oci:{layout}:it"], env={**os.environ, "LBUILD_CACHE": str(harness.directory / "build-cache")})
    image, ports, costs, warm = f"oci:{layout}:it", Ports(), collections.defaultdict(list), collections.defaultdict(list)
    for _ in range(runs):
        cache = harness.directory / harness.new("cache")
        ours = [harness.lbuild, "invoke", image, "-d", '{"nonce": "n"}']
        costs["unpacked first", "lbuild"].append(harness.measure(ours, cache))
        bundle = harness.directory / harness.new("bundle")
        costs["unpacked first", "by hand"].append(harness.measure(["umoci", "unpack", "--rootless", "--image", f"{layout}:it", bundle]))
        root = unpack(harness, f"{layout}:it")
        for _ in range(3):
            costs["cold", "lbuild"].append(harness.measure(ours, cache))
            variables = {"ROOT": str(root), "PORT": ports.next(), "RUNTIME": ports.next()}
            by_hand = ONCE % (quoted(NAMESPACE), PATH)
            costs["cold", "by hand"].append(harness.measure(by_hand, **variables))
        port = ports.next()
        run = [str(word) for word in [harness.lbuild, "run", image, "--port", port]]
        warm["lbuild"].append(statistics.median(served(run, port, LBUILD_CACHE=str(cache))))
        variables = {"ROOT": str(root), "PORT": ports.next(), "RUNTIME": ports.next()}
        warm["by hand"].append(statistics.median(served(NAMESPACE, variables["PORT"], **variables)))
    rows = []
    for state in ("unpacked first", "cold"):
        ours, theirs = medians(costs[state, "lbuild"]), medians(costs[state, "by hand"])
        if state == "unpacked first":
            # umoci unpacks only; the invocation follows
            later = medians(costs["cold", "by hand"])
            theirs = Cost(*(a + b for a, b in zip(theirs, later)))
        for who, cost in (("lbuild", ours), ("by hand", theirs)):
            rows.append([state, who, f"{1000 * cost.wall:.0f} ms", f"{cost.wall / theirs.wall:.2f}", f"{cost.cpu:.2f} s"])
    for who in ("lbuild", "by hand"):
        median = statistics.median(warm[who])
        rows.append(["warm", who, f"{1000 * median:.1f} ms", f"{1000 * (median - statistics.median(warm['by hand'])):+.1f} ms", ""])
    table(["", "", "wall", "against by hand", "CPU"], rows)
