"""Certificates of the upstreams, made by openssl in a run's own folder: a good one, one that is over, one of another name."""

import subprocess

NAME = "up.bench.test"
KINDS = {"good": NAME, "expired": NAME, "name": "other.bench.test"}
KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")
CA = """\
[ca]
default_ca = own
[own]
database = {folder}/index.txt
new_certs_dir = {folder}
rand_serial = yes
default_md = sha256
policy = any
copy_extensions = copy
unique_subject = no
[any]
commonName = supplied
"""


def make(folder):
    """Into a folder that is made: ca.crt, and for each kind its certificate and key."""
    folder.mkdir()
    (folder / "index.txt").touch()
    (folder / "ca.cnf").write_text(CA.format(folder=folder))
    openssl("req", "-x509", *KEY, "-keyout", folder / "ca.key", "-out", folder / "ca.crt", "-days", "2", "-subj", "/CN=bench")
    for kind, name in KINDS.items():
        request = folder / f"{kind}.csr"
        named = ("-subj", f"/CN={name}", "-addext", f"subjectAltName=DNS:{name}")
        openssl("req", *KEY, "-keyout", folder / f"{kind}.key", "-out", request, *named)
        valid = ("-startdate", "20200101000000Z", "-enddate", "20200201000000Z") if kind == "expired" else ("-days", "1")
        openssl(
            "ca", "-batch", "-notext", "-config", folder / "ca.cnf", "-cert", folder / "ca.crt", "-keyfile", folder / "ca.key",
            "-in", request, "-out", folder / f"{kind}.crt", *valid,
        )
    return folder


def openssl(*argv):
    done = subprocess.run(["openssl", *map(str, argv)], stdin=subprocess.DEVNULL, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"openssl {argv[0]}: {done.stderr.strip().splitlines()[-1]}")
