"""From a lock file, or from its installed packages, to a pushed image: lbuild compared with tar, gzip, pigz and uv."""
import collections, functools, hashlib, http.server, json, os, shutil, threading, time

from corpora import BEFORE, LODASH_BEFORE, PACKAGES, WHEELS, corpus, installed, node_modules, wheels
from harness import HOME, TARGET, call, line, medians, table, tar_and_curl

# States that keep caches and registry; then states that keep only the registry, like an empty CI runner.
STATES = ["cold", "unchanged", "fresh machine", "fresh machine, one package upgraded"]
UV = TARGET / "parts/packages/only/uv/uv"

Job = collections.namedtuple("Job", "harness code base to work cache lock source")


# ---- the contestants: each returns the command of a job ----------------------------------------------------------------

def from_wheels(job):
    return job.harness.push(job.code, job.base, job.to, more=["--lock", job.lock, *remote(job)])


def from_directory(job):
    return job.harness.push(job.code, job.base, job.to, job.source, remote(job))


def remote(job):
    return ["--cache-from", job.to]


def compressed(compress):
    def script(job):
        return tar_and_curl(job.harness, job.work, job.code, job.base, job.source, job.to.rsplit(":", 1)[0], compress)
    return script


def uv_and(contestant):
    """Installs the packages of the lock file into an empty directory, and continues with that."""
    def script(job):
        target = job.work / "installed"
        # a push by lbuild is a list of words, one by curl a script
        then = contestant(job._replace(source=target))
        then = then if isinstance(then, str) else " ".join(str(word) for word in then)
        return f"""
            {UV} --quiet pip install --no-config --link-mode=copy --cache-dir={job.cache}/uv --target={target} --no-deps \\
              --python-version=3.12 --python-platform=x86_64-manylinux_2_28 --only-binary=:all: --requirement={job.lock}
            {then}"""
    return script


DIRECTORY = {"lbuild, directory": from_directory, "`tar \\| gzip -6`, curl": compressed("gzip -6"),
             "`tar \\| pigz -6 -p2`, curl": compressed("pigz -6 -p2")}
LOCK = {"lbuild, lock file": from_wheels, **DIRECTORY, **{f"uv; {name}": uv_and(how) for name, how in DIRECTORY.items()}}


# ---- their input -----------------------------------------------------------------------------------------------

class Index:
    """Serves files on loopback, without lists of them: a lock file makes these unnecessary."""

    def __init__(self, directory):
        class Quiet(http.server.SimpleHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=directory))
        self.address = f"127.0.0.1:{self.server.server_port}"

    def __enter__(self):
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()


def pylock(file, packages, directory, url):
    """A lock file (PEP 751) of wheels in a directory that are served from a URL."""
    text = 'lock-version = "1.0"\ncreated-by = "benches/run"\n'  # no requires-python: uv applies it to its own Python
    for package in packages:
        name, version = package.split("==")
        (wheel,) = directory.glob(f"{name}-{version}-*.whl")
        with wheel.open("rb") as content:  # read in pieces: the peak memory of this process counts for its children
            sum = hashlib.file_digest(content, "sha256").hexdigest()
        text += f'\n[[packages]]\nname = "{name}"\nversion = "{version}"\nwheels = [{{ name = "{wheel.name}", ' \
                f'url = "{url}/{wheel.name}", size = {wheel.stat().st_size}, hashes = {{ sha256 = "{sum}" }} }}]\n'
    file.write_text(text)
    return file


def upgraded_node_modules(into):
    """The same with the files of another version of a package."""
    shutil.copytree(corpus("node_modules", node_modules), into / "node_modules", symlinks=True)
    file = into / "node_modules/lodash/package.json"
    file.write_text(file.read_text().replace('"version": "', '"version": "9'))
    return into / "node_modules"


# ---- Node packages from their lock -------------------------------------------------------------------------------------

def npm_lock(packages):
    """A function whose lock file has these packages."""
    def make(into):
        function = into / "function"
        function.mkdir()
        package = {"name": "corpus", "version": "1.0.0", "private": True, "dependencies": packages}
        (function / "package.json").write_text(json.dumps(package))
        (function / "index.js").write_text("exports.handler = async () => 1\n")
        call(["npm", "install", "--silent", "--package-lock-only", "--no-audit", "--no-fund"], cwd=function)
        return function
    return make


def npm(harness, runs):
    """What npm installs goes to the registry as layers of packages. npm has all packages in its own cache."""
    before, after = (corpus(f"npm-lock-{name}", npm_lock(packages)) for name, packages in
                     [("before", {**PACKAGES, "lodash": LODASH_BEFORE}), ("after", PACKAGES)])
    os.environ["npm_config_prefer_offline"] = "true"
    costs = collections.defaultdict(list)
    for _ in range(runs):
        harness.start()
        base = harness.seed(HOME / "testdata/base", "python3.12", harness.hosts[0])
        to, cache = f"{harness.hosts[0]}/{harness.new('image')}:latest", None
        for state in STATES:
            if state != "unchanged":
                forget(cache)
                cache = harness.directory / harness.new("cache")
            code = after if state == STATES[3] else before
            costs[state].append(harness.measure(harness.push(code, base, to, more=["--npm", "--no-check"]), cache))
        forget(cache)
    rows = []
    for state, cost in costs.items():
        cost = medians(cost)
        rows.append([state, *line(cost)[:1], f"{cost.sent / 1e6:.3f} MB", f"{cost.received / 1e6:.3f} MB", str(round(cost.requests))])
    table(["--npm", "wall, with npm's own", "sent", "received", "requests"], rows)


# ---- the bench -------------------------------------------------------------------------------------------------------

def dependencies(harness, code, runs):
    print("### Dependencies, from the lock file to the registry\n")
    files = corpus("wheels", wheels)
    sources = [corpus("site-packages-before", installed(BEFORE)), corpus("site-packages", installed(WHEELS))]
    with Index(files) as index:
        def locks():
            url = f"http://{harness.hosts[-1]}"
            return [pylock(harness.directory / f"pylock.{name}.toml", packages, files, url)
                    for name, packages in [("before", BEFORE), ("after", WHEELS)]]
        compare(harness, code, runs, "numpy, pandas, pyarrow, scipy", LOCK, sources, index, locks)
        sources = [corpus("node_modules", node_modules), corpus("node_modules-upgraded", upgraded_node_modules)]
        compare(harness, code, runs, "node_modules", DIRECTORY, sources, index, lambda: [None, None])
    npm(harness, runs)
    wheels_size = sum(next(files.glob(f"{p.replace('==', '-')}-*")).stat().st_size for p in WHEELS)
    print(f"The four wheels have {wheels_size / 1e6:.1f} MB.\n")


def compare(harness, code, runs, what, contestants, sources, index, locks):
    costs = collections.defaultdict(list)
    for _ in range(runs):
        for name, contestant in contestants.items():
            harness.start(index.address)
            base = harness.seed(HOME / "testdata/base", "python3.12", harness.hosts[0])
            to, (before, after) = f"{harness.hosts[0]}/{harness.new('image')}:latest", locks()
            cache = None
            for state in STATES:
                upgraded = state == STATES[3]
                if state != "unchanged":
                    forget(cache)
                    cache = harness.directory / harness.new("cache")
                work = harness.directory / harness.new("work")
                work.mkdir()
                job = Job(harness, code, base, to, work, cache, after if upgraded else before, sources[upgraded])
                if state == "unchanged" and contestant in (from_wheels, from_directory):
                    time.sleep(0.2)  # lbuild reads files again whose modification is too recent
                    harness.measure(contestant(job), cache)
                costs[state, name].append(harness.measure(contestant(job), cache))
                shutil.rmtree(work)
            forget(cache)
    first, rows = next(iter(contestants)), []
    for state in STATES:
        for name in contestants:
            cost, ours = medians(costs[state, name]), medians(costs[state, first])
            wall, _, *rest = line(cost)
            rows.append([state if name == first else "", name, wall, f"{cost.wall / ours.wall:.1f}", *rest,
                         f"{cost.sent / 1e6:.3f} MB", f"{cost.received / 1e6:.3f} MB", str(round(cost.requests))])
    table([what, "", "wall", "times as long", "CPU", "memory", "sent", "received", "requests"], rows)


def forget(cache):
    if cache and cache.exists():
        shutil.rmtree(cache)
