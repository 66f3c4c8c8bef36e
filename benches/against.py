"""Compares lbuild with a former lbuild, in turns in one run, to measure the effect of a change."""
import collections, shutil, statistics, time

from corpora import WHEELS, big, change_one_line, corpus, wheels
from dependencies import Index, pylock
from harness import HOME, TARGET, medians, table

BASES = TARGET / "parts/bases"


def against(harness, code, runs, former):
    print("### Compared with an earlier lbuild\n")
    costs = collections.defaultdict(list)
    for turn in range(runs):
        # each of the two starts equally often
        for who in [former, harness.lbuild][:: 1 if turn % 2 else -1]:
            for job in [layers, pushes, small, locked, checks]:
                for state, cost in job(harness, code, who):
                    costs[state, who].append(cost)
    rows = []
    for state in dict.fromkeys(state for state, _ in costs):
        before, after = costs[state, former], costs[state, harness.lbuild]
        ratio = statistics.median(new.wall / old.wall for new, old in zip(after, before))
        old, new = medians(before), medians(after)
        rows.append([state, f"{old.wall:.3f} s", f"{new.wall:.3f} s", f"{ratio:.2f}", f"{old.cpu:.2f} s",
                     f"{new.cpu:.2f} s", f"{old.memory:.0f} MB", f"{new.memory:.0f} MB", str(round(old.requests)),
                     str(round(new.requests))])
    table(["", "wall before", "wall", "ratio", "CPU before", "CPU", "memory before", "memory", "requests before",
           "requests"], rows)


def layers(harness, code, lbuild):
    for name, source in big():
        cache = harness.directory / harness.new("cache")
        to = f"oci:{harness.directory / 'none'}"
        yield f"layer, {name}", harness.measure(push(harness, lbuild, code, "scratch", to, source, ["--dry-run", "--no-check"]), cache)
        shutil.rmtree(cache)


def pushes(harness, code, lbuild):
    for name, source in big():
        harness.start()
        base = harness.seed(HOME / "testdata/base", "python3.12", harness.hosts[0])
        cache, to = harness.directory / harness.new("cache"), f"{harness.hosts[0]}/{harness.new('lbuild')}:latest"
        command = push(harness, lbuild, code, base, to, source)
        yield f"push, {name}, cold", harness.measure(command, cache)
        yield from warm(harness, code, command, cache, f"push, {name}")
        shutil.rmtree(cache)


def small(harness, code, lbuild):
    base = harness.seed(BASES / "oci-index", "python3.11", harness.hosts[0])
    cache, to = harness.directory / harness.new("cache"), f"{harness.hosts[0]}/{harness.new('hello')}:latest"
    command = push(harness, lbuild, code, base, to)
    yield "hello, 40 ms away, cold", harness.measure(command, cache, latency=40)
    yield from warm(harness, code, command, cache, "hello, 40 ms away", latency=40)
    shutil.rmtree(cache)


def warm(harness, code, command, cache, what, latency=0):
    time.sleep(0.2)  # lbuild reads files again whose modification is too recent
    harness.measure(command, cache)
    for _ in range(3):
        yield f"{what}, unchanged", harness.measure(command, cache, latency=latency)
        change_one_line(code)
        time.sleep(0.2)
        yield f"{what}, one line changed", harness.measure(command, cache, latency=latency)
        time.sleep(0.2)
        harness.measure(command, cache)


def locked(harness, code, lbuild):
    files = corpus("wheels", wheels)
    with Index(files) as index:
        harness.start(index.address)
        base = harness.seed(HOME / "testdata/base", "python3.12", harness.hosts[0])
        cache, to = harness.directory / harness.new("cache"), f"{harness.hosts[0]}/{harness.new('image')}:latest"
        lock = pylock(harness.directory / "pylock.toml", WHEELS, files, f"http://{harness.hosts[-1]}")
        command = push(harness, lbuild, code, base, to, more=["--lock", lock])
        yield "lock file, cold", harness.measure(command, cache)
        shutil.rmtree(cache)


def checks(harness, code, lbuild):
    for name, source in big():
        layout, cache = harness.directory / harness.new("layout"), harness.directory / harness.new("cache")
        harness.measure(push(harness, lbuild, code, "scratch", f"oci:{layout}:v1", source, ["--no-check"]), cache)
        shutil.rmtree(cache)
        check = f"{lbuild} check oci:{layout}:v1 || [[ $? == 8 ]]"
        yield f"check, {name}", harness.measure(check, cache)
        yield f"check, {name}, again", harness.measure(check, cache)
        shutil.rmtree(cache)
        shutil.rmtree(layout)


def push(harness, lbuild, code, base, to, deps=None, more=()):
    return [lbuild, *harness.push(code, base, to, deps, more)[1:]]
