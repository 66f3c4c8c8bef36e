"""lbuild beside a former lbuild, in turns in one run: what a change costs or gains."""
import collections, shutil, statistics, time

from corpora import WHEELS, big, change_one_line, corpus, wheels
from dependencies import Index, pylock
from rig import HOME, TARGET, medians, table

BASES = TARGET / "parts/bases"


def against(rig, code, runs, former):
    print("### Beside the former lbuild\n")
    costs = collections.defaultdict(list)
    for turn in range(runs):
        # each begins as often as the other
        for who in [former, rig.lbuild][:: 1 if turn % 2 else -1]:
            for job in [layers, pushes, small, locked, checks]:
                for state, cost in job(rig, code, who):
                    costs[state, who].append(cost)
    rows = []
    for state in dict.fromkeys(state for state, _ in costs):
        before, after = costs[state, former], costs[state, rig.lbuild]
        ratio = statistics.median(new.wall / old.wall for new, old in zip(after, before))
        old, new = medians(before), medians(after)
        rows.append([state, f"{old.wall:.3f} s", f"{new.wall:.3f} s", f"{ratio:.2f}", f"{old.cpu:.2f} s",
                     f"{new.cpu:.2f} s", f"{old.memory:.0f} MB", f"{new.memory:.0f} MB"])
    table(["", "wall before", "wall", "ratio", "CPU before", "CPU", "memory before", "memory"], rows)


def layers(rig, code, lbuild):
    for name, source in big():
        cache = rig.directory / rig.new("cache")
        to = f"oci:{rig.directory / 'none'}"
        yield f"layer, {name}", rig.measure(push(rig, lbuild, code, "scratch", to, source, ["--dry-run", "--no-check"]), cache)
        shutil.rmtree(cache)


def pushes(rig, code, lbuild):
    for name, source in big():
        rig.start()
        base = rig.seed(HOME / "testdata/base", "python3.12", rig.hosts[0])
        cache, to = rig.directory / rig.new("cache"), f"{rig.hosts[0]}/{rig.new('lbuild')}:latest"
        command = push(rig, lbuild, code, base, to, source)
        yield f"push, {name}, cold", rig.measure(command, cache)
        yield from warm(rig, code, command, cache, f"push, {name}")
        shutil.rmtree(cache)


def small(rig, code, lbuild):
    base = rig.seed(BASES / "oci-index", "python3.11", rig.hosts[0])
    cache, to = rig.directory / rig.new("cache"), f"{rig.hosts[0]}/{rig.new('hello')}:latest"
    command = push(rig, lbuild, code, base, to)
    yield "hello, 40 ms away, cold", rig.measure(command, cache, latency=40)
    yield from warm(rig, code, command, cache, "hello, 40 ms away", latency=40)
    shutil.rmtree(cache)


def warm(rig, code, command, cache, what, latency=0):
    time.sleep(0.2)  # what was written just now is read again
    rig.measure(command, cache)
    for _ in range(3):
        yield f"{what}, unchanged", rig.measure(command, cache, latency=latency)
        change_one_line(code)
        time.sleep(0.2)
        yield f"{what}, one line changed", rig.measure(command, cache, latency=latency)
        time.sleep(0.2)
        rig.measure(command, cache)


def locked(rig, code, lbuild):
    files = corpus("wheels", wheels)
    with Index(files) as index:
        rig.start(index.address)
        base = rig.seed(HOME / "testdata/base", "python3.12", rig.hosts[0])
        cache, to = rig.directory / rig.new("cache"), f"{rig.hosts[0]}/{rig.new('image')}:latest"
        lock = pylock(rig.directory / "pylock.toml", WHEELS, files, f"http://{rig.hosts[-1]}")
        command = push(rig, lbuild, code, base, to, more=["--lock", lock])
        yield "lock file, cold", rig.measure(command, cache)
        shutil.rmtree(cache)


def checks(rig, code, lbuild):
    for name, source in big():
        layout, cache = rig.directory / rig.new("layout"), rig.directory / rig.new("cache")
        rig.measure(push(rig, lbuild, code, "scratch", f"oci:{layout}:v1", source, ["--no-check"]), cache)
        shutil.rmtree(cache)
        check = f"{lbuild} check oci:{layout}:v1 || [[ $? == 8 ]]"
        yield f"check, {name}", rig.measure(check, cache)
        yield f"check, {name}, again", rig.measure(check, cache)
        shutil.rmtree(cache)
        shutil.rmtree(layout)


def push(rig, lbuild, code, base, to, deps=None, more=()):
    return [lbuild, *rig.push(code, base, to, deps, more)[1:]]
