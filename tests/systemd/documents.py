"""Runs every block of the documents as it is written: `toml` goes to the configuration, `sh` to a shell, page by page.

Each page begins with the package as it is installed: nothing booked, nothing declared."""

import pathlib
import re
import shutil
import subprocess
import sys

CONFIG = pathlib.Path("/etc/emissiond/emissiond.toml")
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
KNOWN = {"toml", "sh", "text", "json"}


def fresh():
    subprocess.run("systemctl stop emissiond mosquitto nginx; systemctl reset-failed; rm -f /etc/nginx/conf.d/emissiond.conf; rm -rf /var/lib/private/emissiond "
                   "/var/lib/emissiond /etc/emissiond /etc/mosquitto /etc/systemd/system/emissiond.service.d; "
                   "systemctl daemon-reload", shell=True, check=True, stderr=subprocess.DEVNULL)
    shutil.copytree("/scenario/shipped", "/etc/emissiond")
    shutil.copytree("/scenario/mosquitto", "/etc/mosquitto", symlinks=True)


def run(page):
    fresh()
    failed = False
    for kind, text in BLOCK.findall(page.read_text()):
        if kind not in KNOWN:
            print(f"FAIL {page.name}: a block of kind `{kind}`")
            failed = True
        elif kind == "toml":
            CONFIG.write_text(CONFIG.read_text() + "\n" + text)
            done = subprocess.run(["emissiond", "check", "--config", CONFIG], capture_output=True, text=True)
            failed |= show(page, "check", done)
        elif kind == "sh":
            done = subprocess.run(["bash", "-euo", "pipefail", "-c", text], capture_output=True, text=True, cwd="/root")
            failed |= show(page, text.splitlines()[0], done)
    return failed


def show(page, what, done):
    if done.returncode == 0:
        print(f"     {page.name}: {what}")
        return False
    print(f"FAIL {page.name}: {what}: {done.returncode}\n{done.stdout}{done.stderr}")
    return True


pages = sorted(pathlib.Path(sys.argv[1]).rglob("*.md"))
outcomes = [run(page) for page in pages if page.parent.name != "reference"]
fresh()
sys.exit(any(outcomes) or not outcomes)
