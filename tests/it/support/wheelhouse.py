"""Makes a directory of small wheels: a package with every kind of file that an installer handles, packages for several
machines, and a large one. usage: wheelhouse.py DIR"""

import base64
import hashlib
import pathlib
import random
import sys
import zipfile

out = pathlib.Path(sys.argv[1])


def wheel(name, version, tag, files, requires=(), executable=(), python=""):
    info = f"{name}-{version}.dist-info"
    metadata = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
    metadata += f"Requires-Python: {python}\n" if python else ""
    metadata += "".join(f"Requires-Dist: {line}\n" for line in requires)
    files = {path: text if isinstance(text, bytes) else text.encode() for path, text in files.items()}
    files[f"{info}/METADATA"] = metadata.encode()
    pure = str(tag.endswith("none-any")).lower()
    files[f"{info}/WHEEL"] = f"Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: {pure}\nTag: {tag}\n".encode()
    record = []
    for path, content in files.items():
        digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
        quoted = f'"{path}"' if "," in path else path
        record.append(f"{quoted},sha256={digest},{len(content)}\n")
    files[f"{info}/RECORD"] = ("".join(record) + f"{info}/RECORD,,\n").encode()
    with zipfile.ZipFile(out / f"{name}-{version}-{tag}.whl", "w") as archive:
        for path, content in files.items():
            member = zipfile.ZipInfo(path, (2020, 1, 1, 0, 0, 0))
            member.compress_type = zipfile.ZIP_DEFLATED
            member.external_attr = (0o100755 if path in executable else 0o100644) << 16
            archive.writestr(member, content)


data = "demo-1.0.data"
wheel(
    "demo", "1.0", "py3-none-any",
    {
        "demo/__init__.py": "from dep import answer\n",
        "demo/a b,c.txt": "",
        "demo/long.txt": "the same line again\n" * 2000,
        "demo/prog": "#!/bin/sh\n",
        "demo/tests/test_demo.py": "assert True\n",
        "demo/stub.pyi": "answer: int\n",
        f"{data}/purelib/pure.py": "p = 1\n",
        f"{data}/platlib/plat.py": "p = 2\n",
        f"{data}/scripts/hello": "#!python\nprint(1)\n",
        f"{data}/scripts/window": "#!pythonw -x\nprint(2)\n",
        f"{data}/scripts/shell.sh": "#!/bin/sh\n",
        f"{data}/scripts/program": b"\x7fELF not really",
        f"{data}/data/share/doc.txt": "doc",
        f"{data}/data/demo/extra.txt": "e",
        f"{data}/headers/demo.h": "h",
        "demo-1.0.dist-info/entry_points.txt":
            "[console_scripts]\nrun = demo.cli:main\nrun3.12=demo:App.main [extra]\n[gui_scripts]\ngui = demo:gui\n"
            "[other]\na = b:c\n",
    },
    requires=["dep>=2", "missing; sys_platform == 'win32'", "missing; python_version < '3.12'", "native"],
    executable=("demo/prog", f"{data}/data/share/doc.txt"),
)
# Version 2.0 is for the image's Python, but not for an older one on which the resolver may run.
wheel("newest", "1.0", "py3-none-any", {"newest.py": "1"})
wheel("newest", "2.0", "py3-none-any", {"newest.py": "2"}, python=">=3.12")
wheel("newest", "3.0", "py3-none-any", {"newest.py": "3"}, python=">=3.13")
wheel("dep", "2.0", "py3-none-any", {"dep.py": "answer = 42\n"})
for tag in [
    "cp312-cp312-manylinux_2_17_x86_64", "cp312-cp312-manylinux_2_17_aarch64", "cp312-cp312-manylinux_2_39_x86_64",
    "cp312-cp312-manylinux_2_39_aarch64", "cp312-cp312-musllinux_1_2_x86_64", "cp312-cp312-musllinux_1_2_aarch64",
    "cp311-cp311-manylinux_2_17_x86_64", "cp311-cp311-manylinux_2_17_aarch64",
]:
    wheel("native", "3.0", tag, {"native/tag.txt": tag})
wheel("intel", "1.0", "cp312-cp312-manylinux_2_17_x86_64", {"intel.py": ""})
wheel("big", "1.0", "py3-none-any", {"big/data.bin": random.Random(1).randbytes(1_200_000), "big/__init__.py": ""})
