"""A Dockerfile whose `RUN` installs packages: lbuild, which translates it, compared with buildah, which runs pip.

The Dockerfile is that of the SAM tutorial, with more packages. Both build and push; the index is on loopback."""
import collections, email, hashlib, os, time, zipfile

from corpora import PIP, change_one_line, corpus
from dependencies import UV, Index, forget
from harness import TAR, TARGET, call, line, medians, table

DOCKERFILE = """\
FROM {base}
ARG wd=/var/task/
COPY app.py requirements.txt ${{wd}}
RUN python3.11 -m pip install -r requirements.txt -t "${{wd}}"
CMD ["app.lambda_handler"]
"""
PACKAGES = ["numpy", "pandas", "pyarrow", "scipy"]
# The packages of the base's interpreter.
SITE = "usr/local/lib/python3.11/dist-packages"
STATES = ["cold", "unchanged", "one line changed", "unchanged, fresh machine"]


def index(into):
    """The packages and all that they need, as an index of PEP 503 with metadata files (PEP 658) serves them."""
    files = into / "index/files"
    call([*PIP, "download", f"--dest={files}", "--only-binary=:all:", "--platform=manylinux_2_28_x86_64",
          "--platform=manylinux2014_x86_64", "--python-version=3.11", "--implementation=cp", *PACKAGES])
    for wheel in files.glob("*.whl"):
        name = wheel.name.split("-")[0].lower().replace("_", "-")
        with zipfile.ZipFile(wheel) as members:
            (path,) = [path for path in members.namelist() if path.count("/") == 1 and path.endswith(".dist-info/METADATA")]
            metadata = members.read(path)
        wheel.with_name(wheel.name + ".metadata").write_bytes(metadata)
        requires = email.message_from_bytes(metadata)["Requires-Python"].replace(">", "&gt;").replace("<", "&lt;")
        sums = [hashlib.sha256(content).hexdigest() for content in (wheel.read_bytes(), metadata)]
        page = into / "index/simple" / name
        page.mkdir(parents=True)
        (page / "index.html").write_text(
            f'<!DOCTYPE html><a href="../../files/{wheel.name}#sha256={sums[0]}" data-requires-python="{requires}" '
            f'data-dist-info-metadata="sha256={sums[1]}" data-core-metadata="sha256={sums[1]}">{wheel.name}</a>\n')
    return into / "index"


def pip(into):
    """The tree of an image with pip for its interpreter."""
    call([*PIP, "install", "--no-compile", "--no-deps", f"--target={into / 'tree' / SITE}", "pip"])
    return into / "tree"


def base_with_pip(harness):
    """The tests' base with the real interpreter, and pip."""
    name = harness.seed(TARGET / "parts/bases/oci-index", "python3.11", harness.hosts[0])
    layout = harness.directory / harness.new("base")
    with_pip = f"{harness.hosts[0]}/pip:python3.11"
    call(["skopeo", "copy", "-q", "--src-tls-verify=false", "--override-arch=amd64", f"docker://{name}", f"oci:{layout}:image"])
    files = f"{layout}.tar"
    call(["bash", "-c", f"{TAR.format(source=corpus('pip', pip))} >{files}"])
    call(["umoci", "raw", "add-layer", "--image", f"{layout}:image", files])
    call(["skopeo", "copy", "-q", "--dest-tls-verify=false", f"oci:{layout}:image", f"docker://{with_pip}"])
    return with_pip


# ---- the contestants: each returns a command, and the cache of lbuild for it -------------------------------------------

def by_lbuild(harness, context, to, cache):
    return [harness.lbuild, "push", context, "-f", f"{context}.Dockerfile", "--arch=amd64", "--cache-from", to, "--to", to], cache


def by_buildah(_, context, to, cache):
    """The layers in its store are its cache. The command runs in a chroot, which is faster than in a container."""
    store = f"buildah --root {cache}/root --runroot {cache}/run --storage-driver overlay"
    return f"""
        {store} bud -q --layers --isolation chroot --network host --tls-verify=false -t image -f {context}.Dockerfile {context} >{cache}.log 2>&1 ||
          {{ cat {cache}.log; exit 1; }}
        {store} push -q --tls-verify=false image docker://{to}""", None


CONTESTANTS = {"lbuild": by_lbuild, "buildah": by_buildah}


# ---- the bench -------------------------------------------------------------------------------------------------------

def dockerfile(harness, _, runs):
    print("### A Dockerfile that installs packages, from its first line to the registry\n")
    costs = collections.defaultdict(list)
    with Index(corpus("index", index)) as packages:
        for _ in range(runs):
            for name, contestant in CONTESTANTS.items():
                harness.start(packages.address)
                context = function(harness)
                to = f"{harness.hosts[0]}/{harness.new('image')}:latest"
                cache = None
                for state in STATES:
                    if state in (STATES[0], STATES[3]):
                        forget(cache)
                        cache = harness.directory / harness.new("cache")
                    if state == "one line changed":
                        change_one_line(context)
                    command, own = contestant(harness, context, to, cache)
                    costs[state, name].append(harness.measure(command, own, PATH=f"{UV.parent}:{os.environ['PATH']}"))
                    time.sleep(0.2)  # lbuild reads files again whose modification is too recent
                forget(cache)
    rows = []
    for state in STATES:
        for name in CONTESTANTS:
            cost, ours = medians(costs[state, name]), medians(costs[state, "lbuild"])
            wall, _, *rest = line(cost)
            rows.append([state if name == "lbuild" else "", name, wall, f"{cost.wall / ours.wall:.1f}", *rest,
                         f"{cost.sent / 1e6:.3f} MB", f"{cost.received / 1e6:.3f} MB", str(round(cost.requests))])
    table([", ".join(PACKAGES), "", "wall", "times as long", "CPU", "memory", "sent", "received", "requests"], rows)


def function(harness):
    """The function and its Dockerfile, whose index and base are this run's."""
    context = harness.directory / harness.new("function")
    context.mkdir()
    (context / "app.py").write_text("import numpy\n\n\ndef lambda_handler(event, context):\n    return numpy.__version__\n")
    requirements = [f"--index-url http://{harness.hosts[-1]}/simple", *PACKAGES]
    (context / "requirements.txt").write_text("\n".join(requirements) + "\n")
    context.with_suffix(".Dockerfile").write_text(DOCKERFILE.format(base=base_with_pip(harness)))
    return context
