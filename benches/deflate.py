"""Compares lbuild's deflate encoder with zlib-rs, gzip and pigz."""
import shutil, statistics

from corpora import big
from harness import TAR, bench_target, call, table


def deflate(harness, code, runs):
    """One thread compresses a tar. The times of gzip and pigz do not include the two SHA-256 digests of a layer."""
    print("### Deflate with one thread\n")
    program = bench_target("deflate")
    encoders = {"lbuild": f"{program} lbuild", "zlib-rs, level 5": f"{program} zlib-rs-5",
                "zlib-rs, level 6": f"{program} zlib-rs-6", "`gzip -6`": "gzip -6"}
    if shutil.which("pigz"):
        encoders["`pigz -6 -p1`"] = "pigz -6 -p1"
    rows = []
    for name, source in big():
        tar, layer = harness.directory / f"{name}.tar", harness.directory / f"{name}.tar.gz"
        call(["bash", "-c", f"{TAR.format(source=source)} >{tar}"])
        times, sizes = {encoder: [] for encoder in encoders}, {}
        for _ in range(runs):
            for encoder, command in encoders.items():
                times[encoder].append(harness.measure(f"{command} <{tar} >{layer}").cpu)
                sizes[encoder] = layer.stat().st_size
        for encoder in encoders:
            # Ratios are computed within a run, because the speed of the machine may change between runs.
            ratio = statistics.median(time / own for time, own in zip(times[encoder], times["lbuild"]))
            rows.append([name if encoder == "lbuild" else "", encoder, f"{statistics.median(times[encoder]):.2f} s",
                         f"{ratio:.2f}", f"{sizes[encoder] / 1e6:.1f} MB", f"{sizes[encoder] / sizes['lbuild']:.3f}"])
        tar.unlink()
        layer.unlink()
    table(["tar of", "encoder", "CPU", "time / lbuild's", "size", "size / lbuild's"], rows)
