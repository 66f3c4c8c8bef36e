"""Writes deterministic OCI layouts: tar layers, blobs, index.json. Standard library and `zstd` only."""

import gzip
import hashlib
import io
import json
import os
import subprocess
import tarfile

EPOCH = 315532800  # 1980-01-01, as in images that lbuild writes


class Tree:
    """Image path → (tar header, content); parent directories are added."""

    def __init__(self):
        self.entries = {}

    def add(self, info, content=b""):
        info.uid = info.gid = 0
        info.uname = info.gname = ""
        info.mtime = EPOCH
        info.pax_headers = {}
        info.size = len(content)
        self.entries[info.name] = (info, content)
        return self

    def directory(self, path, mode=0o755):
        info = tarfile.TarInfo(path)
        info.type, info.mode = tarfile.DIRTYPE, mode
        return self.add(info)

    def file(self, path, content, mode=0o644):
        info = tarfile.TarInfo(path)
        info.mode = mode
        return self.add(info, content if isinstance(content, bytes) else content.encode())

    def symlink(self, path, target):
        info = tarfile.TarInfo(path)
        info.type, info.linkname, info.mode = tarfile.SYMTYPE, target, 0o777
        return self.add(info)

    def tar(self):
        for path in list(self.entries):
            while path := os.path.dirname(path):
                if path not in self.entries:
                    self.directory(path)
        out = io.BytesIO()
        with tarfile.open(fileobj=out, mode="w", format=tarfile.USTAR_FORMAT) as tar:
            for _, (info, content) in sorted(self.entries.items()):
                tar.addfile(info, io.BytesIO(content))
            # two empty records end an archive; Python would pad to 10 KiB
            end = tar.offset + 1024
        return out.getvalue()[:end].ljust(end, b"\0")


def compress(tar, how):
    if how == "gzip":
        return gzip.compress(tar, 6, mtime=0)
    if how == "zstd":
        return subprocess.run(["zstd", "-q", "-3"], input=tar, stdout=subprocess.PIPE, check=True).stdout
    return tar


def digest(data):
    return "sha256:" + hashlib.sha256(data).hexdigest()


def dump(value):
    return json.dumps(value, separators=(",", ":"), sort_keys=True).encode()


class Layout:
    def __init__(self, path, pool=None):
        """`pool`: a directory in which layouts share equal blobs by hard links."""
        self.blobs, self.path, self.pool = os.path.join(path, "blobs/sha256"), path, pool
        os.makedirs(self.blobs)

    def blob(self, media_type, data, **more):
        name = digest(data)
        to = os.path.join(self.blobs, name.removeprefix("sha256:"))
        if not os.path.exists(to):
            kept = os.path.join(self.pool, os.path.basename(to)) if self.pool else to
            if not os.path.exists(kept):
                with open(kept, "wb") as file:
                    file.write(data)
            if kept != to:
                os.link(kept, to)
        return {"mediaType": media_type, "digest": name, "size": len(data), **more}

    def finish(self, descriptor, name):
        entry = {**descriptor, "annotations": {"org.opencontainers.image.ref.name": name}}
        index = {"schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json", "manifests": [entry]}
        with open(os.path.join(self.path, "oci-layout"), "wb") as file:
            file.write(b'{"imageLayoutVersion":"1.0.0"}')
        with open(os.path.join(self.path, "index.json"), "wb") as file:
            file.write(dump(index))


OCI = {
    "index": "application/vnd.oci.image.index.v1+json",
    "manifest": "application/vnd.oci.image.manifest.v1+json",
    "config": "application/vnd.oci.image.config.v1+json",
    "gzip": "application/vnd.oci.image.layer.v1.tar+gzip",
    "zstd": "application/vnd.oci.image.layer.v1.tar+zstd",
    "plain": "application/vnd.oci.image.layer.v1.tar",
}
DOCKER = {
    "index": "application/vnd.docker.distribution.manifest.list.v2+json",
    "manifest": "application/vnd.docker.distribution.manifest.v2+json",
    "config": "application/vnd.docker.container.image.v1+json",
    "gzip": "application/vnd.docker.image.rootfs.diff.tar.gzip",
}


def lambda_config(architecture, variant, layers):
    """A config like that of Lambda's bases, with every field that a typed config would
    drop. `layers`: (created_by, tar) pairs."""
    container = {
        "Hostname": "", "Domainname": "", "User": "", "AttachStdin": False, "AttachStdout": False,
        "AttachStderr": False, "Tty": False, "OpenStdin": False, "StdinOnce": False, "ArgsEscaped": True,
        "Env": [
            "LANG=en_US.UTF-8",
            "TZ=:/etc/localtime",
            "PATH=/var/lang/bin:/usr/local/bin:/usr/bin/:/bin:/opt/bin",
            "LD_LIBRARY_PATH=/var/lang/lib:/lib64:/usr/lib64:/var/runtime:/var/runtime/lib:/var/task:/var/task/lib:/opt/lib",
            "LAMBDA_TASK_ROOT=/var/task",
            "LAMBDA_RUNTIME_DIR=/var/runtime",
        ],
        "Cmd": None, "Image": "", "Volumes": None, "WorkingDir": "/var/task",
        "Entrypoint": ["/lambda-entrypoint.sh"], "OnBuild": [],
        "Healthcheck": {"Test": ["NONE"]},
        "Shell": ["/bin/sh", "-c"],
        "StopTimeout": 3,
        "Labels": {"com.amazonaws.lambda.platform.kernel": "k510ga",
                   "com.amazonaws.lambda.feature.snapstart": "Allow"},
    }  # fmt: skip
    created = "1980-01-01T00:00:00Z"
    history = [{"created": created, "created_by": by, "comment": "buildkit.dockerfile.v0"} for by, _ in layers]
    history.append({"created": created, "created_by": 'ENTRYPOINT ["/lambda-entrypoint.sh"]', "empty_layer": True})
    config = {
        "architecture": architecture, "os": "linux", "created": created, "config": container,
        "container": "0" * 64, "container_config": {**container, "Cmd": ["/bin/sh", "-c", "#(nop) "]},
        "docker_version": "25.0.14", "moby.buildkit.buildinfo.v1": "e30=", "history": history,
        "rootfs": {"type": "layers", "diff_ids": [digest(tar) for _, tar in layers]},
    }  # fmt: skip
    if variant:
        config["variant"] = variant
    return config


def write(path, name, types, images, how="gzip", variant=None, attest=False, pool=None):
    """One layout with one index over `images`: architecture → (created_by, tar) pairs."""
    layout, manifests = Layout(path, pool), []
    for architecture, layers in images.items():
        variant_here = variant if architecture == "arm64" else None
        platform = {"architecture": architecture, "os": "linux"} | ({"variant": variant_here} if variant_here else {})
        config = lambda_config(architecture, variant_here, layers)
        manifest = {
            "schemaVersion": 2,
            "mediaType": types["manifest"],
            "config": layout.blob(types["config"], dump(config)),
            "layers": [layout.blob(types[how], compress(tar, how)) for _, tar in layers],
        }
        manifests.append(layout.blob(types["manifest"], dump(manifest), platform=platform))
    if attest:
        manifests += [attestation(layout, entry) for entry in manifests]
    index = {"schemaVersion": 2, "mediaType": types["index"], "manifests": manifests}
    layout.finish(layout.blob(types["index"], dump(index)), name)


def attestation(layout, subject):
    """The provenance entry that buildx adds to an index for each image."""
    statement = {
        "_type": "https://in-toto.io/Statement/v0.1", "predicateType": "https://slsa.dev/provenance/v0.2",
        "subject": [{"name": "_", "digest": {"sha256": subject["digest"].removeprefix("sha256:")}}], "predicate": {},
    }  # fmt: skip
    layer = layout.blob("application/vnd.in-toto+json", dump(statement))
    layer["annotations"] = {"in-toto.io/predicate-type": statement["predicateType"]}
    config = {
        "architecture": "unknown", "os": "unknown", "config": {},
        "rootfs": {"type": "layers", "diff_ids": [layer["digest"]]},
    }  # fmt: skip
    manifest = {
        "schemaVersion": 2,
        "mediaType": OCI["manifest"],
        "config": layout.blob(OCI["config"], dump(config)),
        "layers": [layer],
    }
    entry = layout.blob(OCI["manifest"], dump(manifest), platform={"architecture": "unknown", "os": "unknown"})
    entry["annotations"] = {
        "vnd.docker.reference.digest": subject["digest"],
        "vnd.docker.reference.type": "attestation-manifest",
    }
    return entry
