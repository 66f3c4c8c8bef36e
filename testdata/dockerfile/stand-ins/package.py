"""Writes a Debian package whose files have owners, modes and a hard link.

usage: package.py FILE"""
import io
import sys
import tarfile

CONTROL = "Package: k\nVersion: 1\nArchitecture: all\nMaintainer: k <k@example.com>\nDescription: k\n"


def tar(*members):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        for name, kind, mode, uid, gid, link, content in members:
            info = tarfile.TarInfo(name)
            info.type, info.mode, info.uid, info.gid, info.linkname, info.size = kind, mode, uid, gid, link, len(content)
            archive.addfile(info, io.BytesIO(content))
    return out.getvalue()


directory, file, link = tarfile.DIRTYPE, tarfile.REGTYPE, tarfile.LNKTYPE
control = tar(("./control", file, 0o644, 0, 0, "", CONTROL.encode()))
data = tar(
    ("./opt", directory, 0o755, 0, 0, "", b""),
    ("./opt/k", directory, 0o755, 0, 0, "", b""),
    ("./opt/k/a", file, 0o644, 33, 33, "", b""),
    ("./opt/k/b", link, 0o644, 33, 33, "./opt/k/a", b""),
    ("./opt/k/s", file, 0o2755, 0, 42, "", b""),
)
with open(sys.argv[1], "wb") as deb:
    deb.write(b"!<arch>\n")
    for name, content in [("debian-binary", b"2.0\n"), ("control.tar", control), ("data.tar", data)]:
        header = f"{name:16}{0:<12}{0:<6}{0:<6}{100644:<8}{len(content):<10}`\n"
        deb.write(header.encode() + content + b"\n" * (len(content) % 2))
