"""Dockerfiles with commands that need a process: lbuild, in each of its modes, compared with buildah.

Both build and push. buildah runs commands by chroot, which is faster than in a container, and keeps its layers. The
account of the tests (tests/run) stands for an ordinary user, with subordinate ids; nobody has none. They take turns."""
import collections, json, os, pathlib, pwd, shutil, subprocess, sys, time

from corpora import corpus
from dependencies import forget
from harness import TARGET, Cost, call, medians, table, tool

ACCOUNT = "lbuild-tests"
DEBIAN = TARGET / "parts/debian/image"
INSTALLED = ["git", "jq", "openssh-client"]

# What a build measures: its name, and the commands of its Dockerfile. The first is built without anything in a cache.
SLEEP = ("sleep 1", ["sleep 1"])
WRITE = ("write 100 MB", ["cat /usr/lib/*/*.so* /usr/bin/* | head -c 100000000 >/srv/data"])
INSTALL = ("install git, jq, ssh", ["apt-get -qq install --yes --no-install-recommends /tmp/debs/*.deb"])
# lbuild would translate a mere echo.
TWENTY = ("20 short commands", [f"sleep 0; echo {number} >/srv/{number}" for number in range(20)])
JOBS = {"busybox": [SLEEP, TWENTY], "debian": [SLEEP, WRITE, INSTALL, TWENTY]}


# ---- the contestants -------------------------------------------------------------------------------------------------

TRIES = 3
Contestant = collections.namedtuple("Contestant", "name user build")


def by_lbuild(mode):
    def build(harness, context, to, cache):
        return [[harness.lbuild, "push", context, "-f", f"{context}.Dockerfile", "--arch=amd64", "--no-check",
                 *([f"--run-mode={mode}"] if mode else []), "--to", to]]
    return build


def by_buildah(_, context, to, cache):
    store = ["buildah", "--root", cache / "root", "--runroot", cache / "run", "--storage-driver", "overlay"]
    return [[*store, "bud", "-q", "--layers", "--isolation=chroot", "--network=host", "--tls-verify=false", "-t", "image",
             "-f", f"{context}.Dockerfile", context],
            [*store, "push", "-q", "--tls-verify=false", "image", f"docker://{to}"]]


CONTESTANTS = [
    Contestant("lbuild, namespaces", "root", by_lbuild("namespaces")),
    Contestant("lbuild, copy", "root", by_lbuild("copy")),
    Contestant("lbuild, chroot", "root", by_lbuild("chroot")),
    Contestant("buildah", "root", by_buildah),
    Contestant("lbuild, user", ACCOUNT, by_lbuild(None)),
    Contestant("lbuild, nobody", "nobody", by_lbuild(None)),
    Contestant("buildah, user", ACCOUNT, by_buildah),
]


class Place:
    """The directories and the image of a contestant, which belong to its user."""

    def __init__(self, harness, contestant):
        self.harness, self.contestant = harness, contestant
        self.user = pwd.getpwnam(contestant.user)
        self.home = self.directory()
        self.to = f"{harness.hosts[0]}/{harness.new('image')}:latest"
        self.cache = None

    def directory(self):
        made = self.harness.directory / self.harness.new("place")
        made.mkdir()
        os.chown(made, self.user.pw_uid, self.user.pw_gid)
        return made

    def forget(self):
        forget(self.cache)
        self.cache = self.directory()

    def commands(self, context):
        become = [] if self.user.pw_uid == 0 else [
            "setpriv", f"--reuid={self.user.pw_uid}", f"--regid={self.user.pw_gid}", "--clear-groups"]
        return [[*become, *command] for command in self.contestant.build(self.harness, context, self.to, self.cache)]

    def environment(self):
        run = self.home / "run"
        run.mkdir(mode=0o700, exist_ok=True)
        os.chown(run, self.user.pw_uid, self.user.pw_gid)
        return {"HOME": str(self.home), "XDG_RUNTIME_DIR": str(run), "TMPDIR": str(self.home)}

    def build(self, context):
        """The costs of each of the contestant's commands."""
        costs = [self.measured(command) for command in self.commands(context)]
        time.sleep(0.2)  # lbuild reads files again whose modification is too recent
        return costs

    def measured(self, command):
        """The cost of a command. buildah's runtime fails now and then ("sealing memfd copy"): then it is tried again."""
        for left in reversed(range(TRIES if "buildah" in self.contestant.name else 1)):
            try:
                return self.harness.measure(command, self.cache, **self.environment())
            except SystemExit:
                self.unmount()
                if left == 0:
                    raise

    def unmount(self):
        """Takes away the mounts that a failed build has left, without which its directory cannot be removed."""
        for line in reversed(pathlib.Path("/proc/self/mounts").read_text().splitlines()):
            point = line.split()[1]
            if point.startswith(f"{self.cache}/"):
                call(["umount", point])


def together(costs):
    """One cost for commands that follow each other."""
    wall, cpu, memory, *traffic = zip(*costs)
    return Cost(sum(wall), sum(cpu), max(memory), *map(sum, traffic))


# ---- the bases and the command's own time ----------------------------------------------------------------------------

def busybox(into):
    """The layout and the tree of an image with busybox only."""
    tree = into / "base/tree"
    for name in ["bin", "srv", "tmp", "etc", "dev", "proc", "sys"]:
        (tree / name).mkdir(parents=True)
    shutil.copy(tool("busybox"), tree / "bin/busybox")
    for name in call([tool("busybox"), "--list"]).split():
        if name != "busybox":
            (tree / "bin" / name).symlink_to("busybox")
    image = f"{into / 'base/image'}:busybox"
    call(["umoci", "init", "--layout", into / "base/image"])
    call(["umoci", "new", "--image", image])
    call(["umoci", "insert", "--image", image, tree, "/"])
    call(["umoci", "config", "--image", image, "--config.env", "PATH=/bin", "--os", "linux", "--architecture", "amd64"])
    return into / "base"


def debian_tree(into):
    (into / "tree").mkdir()
    blobs = DEBIAN / "blobs/sha256"
    of = lambda digest: blobs / digest.split(":")[1]  # noqa: E731
    manifest = json.loads(of(json.loads((DEBIAN / "index.json").read_text())["manifests"][0]["digest"]).read_text())
    for layer in manifest["layers"]:
        call(["tar", "-x", "--numeric-owner", "-p", "-C", into / "tree", "-f", of(layer["digest"])])
    for number, device in enumerate(["null", "zero", "full"]):
        (into / "tree/dev").mkdir(exist_ok=True)
        call(["mknod", "-m", "666", into / "tree/dev" / device, "c", "1", str([3, 5, 7][number])])
    return into / "tree"


def debs(into):
    """Packages, with those of their dependencies that the base lacks."""
    (into / "debs/partial").mkdir(parents=True)
    (into / "state/lists").mkdir(parents=True)
    status = corpus("debian-tree", debian_tree) / "var/lib/dpkg/status"
    options = [word for option in [f"Dir::State::Lists={into}/state/lists", f"Dir::Cache={into}/state", "APT::Sandbox::User=root"]
               for word in ("-o", option)]
    call(["apt-get", "-qq", *options, "update"])
    call(["apt-get", "-qq", *options, "-o", f"Dir::State::Status={status}", "-o", f"Dir::Cache::Archives={into}/debs",
          "--download-only", "--yes", "--no-install-recommends", "install", *INSTALLED])
    shutil.rmtree(into / "debs/partial")
    (into / "debs/lock").unlink(missing_ok=True)
    return into / "debs"


def own(harness, tree, context, commands):
    """What the commands cost by themselves: in a chroot in an overlay, one after another."""
    work = harness.directory / harness.new("own")
    for name in ["upper/tmp", "work", "root"]:
        (work / name).mkdir(parents=True)
    (work / "upper/tmp").chmod(0o1777)
    shutil.copytree(context, work / "upper/tmp", dirs_exist_ok=True)
    mount = f"mount -t overlay -o lowerdir={tree},upperdir={work}/upper,workdir={work}/work,volatile overlay {work}/root"
    call(["bash", "-c", mount])
    try:
        chroot = f"env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin {tool('chroot')} {work}/root /bin/sh -c"
        return harness.measure("\n".join(f"{chroot} '{command}'" for command in commands))
    finally:
        call(["umount", work / "root"])
        forget(work)


# ---- the bench -------------------------------------------------------------------------------------------------------

DOCKERFILE = """\
FROM {base}
COPY debs /tmp/debs
COPY before.py /srv/
{runs}
COPY after.py /srv/
"""
CODE = "import json\n\n\ndef handler(event, context):\n    return json.dumps(event)\n"
COLD, WARM, UNCHANGED, BELOW, ABOVE = [
    "base cold", "base warm", "unchanged", "a line changed in a COPY after it", "a line changed in a COPY before it"]


def context_of(harness, kind, files):
    """A context for a contestant: each changes lines in its own."""
    context = harness.directory / harness.new("context")
    (context / "debs").mkdir(parents=True)
    if kind == "debian":
        shutil.copytree(files, context / "debs", dirs_exist_ok=True)
    for name in ["before.py", "after.py"]:
        (context / name).write_text(CODE)
    return context


def write_dockerfile(context, base, commands, mark):
    runs = "\n".join(f"RUN {command} # {mark}" for command in commands)
    context.with_suffix(".Dockerfile").write_text(DOCKERFILE.format(base=base, runs=runs))


def states(is_first):
    """The states in which a job is measured, in this order."""
    return [*([COLD] if is_first else []), WARM, UNCHANGED, *([BELOW, ABOVE] if is_first else [])]


def round_of(harness, kind, base, tree, files, costs):
    """One run with a base: the contestants take turns in each state."""
    places = [Place(harness, contestant) for contestant in CONTESTANTS]
    contexts = [context_of(harness, kind, files) for place in places]
    for place in places:
        place.forget()
    for number, (name, commands) in enumerate(JOBS[kind]):
        costs[name, "own"].append([own(harness, tree, contexts[0], commands)])
        for state in states(number == 0):
            for place, context in zip(places, contexts):
                if state in (COLD, WARM):
                    write_dockerfile(context, base, commands, state)
                if state == BELOW:
                    change(context / "after.py")
                if state == ABOVE:
                    change(context / "before.py")
                costs[name, state, place.contestant.name].append(place.build(context))
    for place, context in zip(places, contexts):
        forget(place.cache)
        forget(context)


def change(path):
    path.write_text(path.read_text() + f"# {time.time_ns()}\n")


def rows_of(kind, costs):
    rows = []
    for number, (name, _) in enumerate(JOBS[kind]):
        alone = medians([together(cost) for cost in costs[name, "own"]])
        rows.append([name, "the command itself", f"{alone.wall:.2f} s", "", "", f"{alone.cpu:.2f} s", f"{alone.memory:.0f} MB", "", ""])
        for state in states(number == 0):
            spent = 0 if state in (UNCHANGED, BELOW) else alone.wall
            for contestant in CONTESTANTS:
                measured = costs[name, state, contestant.name]
                cost = medians([together(each) for each in measured])
                peer = medians([together(each) for each in costs[name, state, "buildah" if contestant.user == "root" else "buildah, user"]])
                beyond, peers = cost.wall - spent, peer.wall - spent
                build = medians([each[0] for each in measured]).wall - spent if len(measured[0]) > 1 else None
                rows.append([state if contestant == CONTESTANTS[0] else "", contestant.name, f"{cost.wall:.2f} s", f"{beyond:.2f} s",
                             "" if build is None else f"{build:.2f} s", f"{cost.cpu:.2f} s", f"{cost.memory:.0f} MB",
                             f"{cost.sent / 1e6:.1f} MB", f"{peers / beyond:.1f}" if beyond > 0 else "–"])
    return rows


def commands(harness, _, runs):
    if os.geteuid() != 0:
        sys.exit("the bench of commands needs root, to compare its modes with those of other users")
    harness.directory.chmod(0o755)
    files = corpus("debs", debs)
    for kind in JOBS:
        made = corpus("busybox", busybox) if kind == "busybox" else None
        layout = made / "image" if made else DEBIAN
        tree = made / "tree" if made else corpus("debian-tree", debian_tree)
        print(f"### Commands on a base with {kind}\n")
        costs = collections.defaultdict(list)
        for _ in range(runs):
            harness.start()
            base = harness.seed(layout, kind, harness.hosts[0])
            round_of(harness, kind, base, tree, files, costs)
        table(["", "", "wall", "beyond the command", "without push", "CPU", "memory", "sent", "buildah takes × as long"], rows_of(kind, costs))
        peaks(harness, kind, base, files)


def peaks(harness, kind, base, files):
    """The peak memory of lbuild itself, without that of the commands."""
    rows = []
    name, commands = JOBS[kind][-2]
    for contestant in [each for each in CONTESTANTS if each.name.startswith("lbuild")]:
        place = Place(harness, contestant)
        place.forget()
        context = context_of(harness, kind, files)
        write_dockerfile(context, base, commands, "peak")
        (command,) = place.commands(context)
        environment = {**os.environ, "AWS_EC2_METADATA_DISABLED": "true", "LBUILD_CACHE": str(place.cache), **place.environment()}
        process = subprocess.Popen([str(word) for word in command], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                   stderr=subprocess.DEVNULL, env=environment)
        peak = {"itself": 0, "child": 0}
        while process.poll() is None:
            for pid in family(process.pid):
                whose = "itself" if pid == process.pid else "child"
                peak[whose] = max(peak[whose], resident(pid, harness.lbuild))
            time.sleep(0.002)
        if process.returncode:
            sys.exit(f"{command} ended with {process.returncode}")
        rows.append([contestant.name, f"{peak['itself']:.0f} MB", f"{peak['child']:.0f} MB"])
        forget(place.cache)
    table([f"{name}, base cold", "lbuild", "its largest child"], rows)


def family(pid):
    """A process and its children."""
    yield pid
    for file in pathlib.Path(f"/proc/{pid}/task").glob("*/children"):
        try:
            yield from map(int, file.read_text().split())
        except OSError:
            pass


def resident(pid, program):
    """The peak memory of a process, if it runs this program, in MB."""
    try:
        if os.readlink(f"/proc/{pid}/exe") != str(program):
            return 0
        fields = dict(line.split(":", 1) for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines())
        return int(fields.get("VmHWM", "0 kB").split()[0]) / 1024
    except OSError:
        return 0
