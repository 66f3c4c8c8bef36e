"""The bench harness: registries behind a counting proxy, the cost of a command, and tables."""
import collections, fcntl, json, os, pathlib, shutil, statistics, subprocess, sys, tempfile, time

HOME = pathlib.Path(__file__).resolve().parent.parent
TARGET = HOME / os.environ.get("CARGO_TARGET_DIR", "target")
# GNU tar's default order and times differ between checkouts; these flags make its layer as reproducible as lbuild's.
TAR = "tar --sort=name --mtime=@315532800 --owner=0 --group=0 --numeric-owner -C {source} -c ."

Cost = collections.namedtuple("Cost", "wall cpu memory requests sent received")


def call(command, **more):
    done = subprocess.run([str(word) for word in command], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, text=True, **more)
    if done.returncode:
        sys.exit(f"{' '.join(map(str, command))}\n{done.stdout}{done.stderr}")
    return done.stdout


def bench_target(name):
    """The program that benches/NAME.rs makes, with the optimisations of the published binary."""
    out = call(["cargo", "bench", "--no-run", "--profile", "dist", "--locked", "--bench", name, "--message-format=json"], cwd=HOME)
    made = [json.loads(text) for text in out.splitlines()]
    return next(m["executable"] for m in made if m.get("executable") and m["target"]["name"] == name)


class Harness:
    """Registries and other servers, each behind a proxy that counts requests and adds latency."""

    def __init__(self, lbuild, proxy, directory, lock, registries=1):
        self.lbuild, self.proxy_binary, self.directory, self.lock = lbuild, proxy, directory, lock
        self.registries, self.names, self.processes = registries, 0, []
        self.start()

    def start(self, *others):
        """Replaces the registries with empty ones at new addresses, for which clients have no cache entries.

        `others` are addresses of further servers; their proxies are the last of `hosts`."""
        self.__exit__()
        self.processes, addresses = [], []
        for _ in range(self.registries):
            root = self.directory / self.new("registry")
            root.mkdir()
            (root / "config.yml").write_text(
                f"version: 0.1\nlog: {{level: info}}\nstorage: {{filesystem: {{rootdirectory: {root / 'storage'}}}}}\n"
                "http: {addr: 127.0.0.1:0}\n")
            log = root / "log"
            with log.open("w") as out:
                serve = [tool("docker-registry"), "serve", root / "config.yml"]
                self.processes.append(subprocess.Popen(serve, stdin=subprocess.DEVNULL, stdout=out, stderr=out))
            addresses.append(f"127.0.0.1:{port(log)}")
        self.proxy = subprocess.Popen([self.proxy_binary, *addresses, *others], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.processes.append(self.proxy)
        self.hosts = self.proxy.stdout.readline().split()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for process in self.processes:
            process.kill()
            process.wait()

    def new(self, name):
        """A path or repository that did not exist before."""
        self.names += 1
        return f"{name}-{self.names}"

    def seed(self, layout, tag, host):
        call(["skopeo", "copy", "--all", "--dest-tls-verify=false", f"oci:{layout}:{tag}", f"docker://{host}/base:{tag}"])
        return f"{host}/base:{tag}"

    def passed(self, latency=0):
        """Requests, and bytes from and to clients, since the last call; sets the latency of later requests."""
        self.proxy.stdin.write(f"{latency}\n")
        self.proxy.stdin.flush()
        return tuple(map(int, self.proxy.stdout.readline().split()))

    def measure(self, command, cache=None, latency=0, **variables):
        """Runs a command. CPU is the sum of all its processes, memory that of the largest: at least the 22 MB of this
        script, which the kernel counts for its children."""
        words = ["bash", "-euo", "pipefail", "-c", command] if isinstance(command, str) else [str(w) for w in command]
        environment = {**os.environ, "AWS_EC2_METADATA_DISABLED": "true", "LBUILD_CACHE": str(cache or self.directory / "no-cache"),
                       **variables}
        with open(self.lock, "w") as lock, tempfile.TemporaryFile() as out:
            fcntl.flock(lock, fcntl.LOCK_EX)
            wait_until_idle()
            self.passed(latency)
            began = time.perf_counter()
            process = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=out, stderr=out, env=environment)
            _, status, usage = os.wait4(process.pid, 0)
            wall = time.perf_counter() - began
            process.returncode = os.waitstatus_to_exitcode(status)
            passed = self.passed()
            if process.returncode:
                out.seek(0)
                sys.exit(f"{command}\n{out.read().decode()}")
        return Cost(wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024, *passed)

    def push(self, code, base, to, deps=None, more=()):
        deps = ["--deps", f"{deps}:/opt"] if deps else []
        return [self.lbuild, "push", code, "--arch=amd64", "--base", base, "--cmd=app.handler", *deps, "--to", to, *more]


def tool(name):
    found = shutil.which(name, path=os.environ["PATH"] + ":/usr/sbin:/sbin")
    return found or sys.exit(f"missing program: {name} (tests/run installs it)")


def port(log):
    for _ in range(2000):
        _, found, rest = log.read_text().partition("listening on 127.0.0.1:")
        if found:
            return int("".join(c for c in rest[:6] if c.isdigit()))
        time.sleep(0.01)
    sys.exit(f"docker-registry does not start:\n{log.read_text()}")


def wait_until_idle():
    """Waits until other processes are idle, for a minute at most."""
    def spent():
        fields = [int(field) for field in pathlib.Path("/proc/stat").read_text().split("\n")[0].split()[1:]]
        return sum(fields[:8]), sum(fields[:8]) - fields[3] - fields[4]
    for _ in range(120):
        (all_before, before), _, (all_after, after) = spent(), time.sleep(0.5), spent()
        if after - before < 0.15 * (all_after - all_before):
            return
    print("other processes use this machine: wall times are too long", file=sys.stderr)


def medians(costs):
    return Cost(*(statistics.median(values) for values in zip(*costs)))


def table(head, rows):
    print("| " + " | ".join(head) + " |\n|" + "|".join([":--"] + ["--:"] * (len(head) - 1)) + "|")
    for row in rows:
        print("| " + " | ".join(row) + " |")
    print(flush=True)


def line(cost, peer=None):
    ratio = f"{peer.wall / cost.wall:.1f}" if peer else ""
    return [f"{cost.wall:.2f} s", ratio, f"{cost.cpu:.2f} s", f"{cost.memory:.0f} MB"]


def tar_and_curl(harness, work, code, base, source, to, compress="pigz -6 -p2"):
    """Sends only the layers that the registry lacks, without config and manifest."""
    host, repository = to.split("/", 1)
    steps = []
    for number, directory in enumerate([source, code]):
        file = work / f"{number}.tar.gz"
        steps.append(f"""
            {TAR.format(source=directory)} | {compress} >{file}
            digest=sha256:$(sha256sum {file} | cut -c1-64)
            blobs=http://{host}/v2/{repository}/blobs
            if ! curl -sfI -o {work}/head $blobs/$digest; then
              url=$(curl -sf -X POST -D - -o /dev/null $blobs/uploads/ | tr -d '\\r' | sed -n 's/^[Ll]ocation: //p')
              curl -sf -X PUT -H 'Content-Type: application/octet-stream' -T {file} "$url&digest=$digest"
            fi""")
    return "\n".join(steps)
