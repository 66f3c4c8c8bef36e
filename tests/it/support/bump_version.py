"""Makes a newer version of a wheel: the same files and one more.

usage: bump_version.py WHEEL FROM TO OUT  →  OUT/WHEEL with TO in place of FROM, and its metadata file
"""

import os
import sys
import zipfile


def main(wheel, old, new, out):
    name = os.path.basename(wheel).split("-")[0]
    info = f"{name}-{old}.dist-info/", f"{name}-{new}.dist-info/"
    target = os.path.join(out, os.path.basename(wheel).replace(f"-{old}-", f"-{new}-"))
    with zipfile.ZipFile(wheel) as source, zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as made:
        for member in source.infolist():
            content = source.read(member)
            if member.filename.startswith(info[0]):
                content = content.replace(info[0].encode(), info[1].encode())
                content = content.replace(f"Version: {old}\n".encode(), f"Version: {new}\n".encode())
            if member.filename == info[0] + "RECORD":
                content += f"{name}/newer.txt,,\n".encode()
            if member.filename == info[0] + "METADATA":
                with open(target + ".metadata", "wb") as metadata:
                    metadata.write(content)
            made.writestr(member.filename.replace(*info), content)
        made.writestr(f"{name}/newer.txt", new)


main(*sys.argv[1:])
