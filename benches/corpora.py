"""The input of the benches: directories and packages below target/corpora, made on the first run."""
import json, os, pathlib, random, shutil, sys, tempfile, time

from harness import HOME, TARGET, call

CORPORA = TARGET / "corpora"
WHEELS = ["numpy==2.5.5", "pandas==3.1.1", "pyarrow==26.0.1", "scipy==1.18.1"]
# The same with an older version of one package, for an upgrade.
BEFORE = ["numpy==2.5.4", *WHEELS[1:]]
PIP = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]
TARGET_TAGS = ["--no-deps", "--only-binary=:all:", "--platform=manylinux_2_28_x86_64", "--python-version=3.12",
               "--implementation=cp"]
PACKAGES = {"aws-cdk-lib": "2.276.0", "aws-sdk": "2.1693.0", "express": "5.3.0",
            "jest": "30.5.2", "lodash": "4.18.1", "typescript": "7.0.2", "webpack": "5.112.2"}
LODASH_BEFORE = "4.17.21"


def corpus(name, make):
    """The directory target/corpora/NAME; it is made completely or not at all."""
    made = CORPORA / name
    if not made.exists():
        print(f"making {made}", file=sys.stderr)
        CORPORA.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=CORPORA) as temporary:
            make(pathlib.Path(temporary)).rename(made)
    return made


def wheels(into):
    """The wheels of both sets, in one directory, like in an index."""
    call([*PIP, "download", f"--dest={into / 'wheels'}", *TARGET_TAGS, *WHEELS])
    call([*PIP, "download", f"--dest={into / 'wheels'}", *TARGET_TAGS, BEFORE[0]])
    return into / "wheels"


def installed(packages):
    def make(into):
        call([*PIP, "install", "--no-compile", "--ignore-requires-python", *TARGET_TAGS,
              f"--target={into / 'site-packages'}", *packages])
        return into / "site-packages"
    return make


def node_modules(into):
    (into / "package.json").write_text(json.dumps({"name": "corpus", "private": True, "dependencies": PACKAGES}))
    call(["npm", "install", "--silent", "--ignore-scripts", "--no-audit", "--no-fund", "--install-strategy=hoisted"], cwd=into)
    return into / "node_modules"


def mixed(megabytes):
    """Files of 64 KiB: alternately incompressible noise and compressible words."""
    def make(into):
        noise = random.Random(1)
        words = ["".join(noise.choices("abcdefghijklmnopqrstuvwxyz", k=noise.randint(2, 9))) for _ in range(2000)]
        for number in range(megabytes * 16):
            directory = into / "files" / str(number // 100)
            directory.mkdir(parents=True, exist_ok=True)
            text = noise.randbytes(65536) if number % 2 else " ".join(noise.choices(words, k=13000)).encode()[:65536]
            (directory / str(number)).write_bytes(text)
        return into / "files"
    return make


def hello(into):
    shutil.copytree(HOME / "testdata/functions/hello-python", into)
    return into


def change_one_line(code):
    """Changes a line of the function."""
    file = next(path for path in sorted(code.iterdir()) if path.is_file())
    lines = [line for line in file.read_text().splitlines() if not line.startswith("# changed ")]
    file.write_text("\n".join([*lines, f"# changed {time.time_ns()}", ""]))


def big():
    return [("site-packages", corpus("site-packages", installed(WHEELS))), ("node_modules", corpus("node_modules", node_modules))]
