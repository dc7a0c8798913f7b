"""`make audit`: which of the pinned packages have known advisories, by pip-audit and the OSV database.

Ends with 0 if all were asked about and none has any, 1 if there are advisories, 2 if they could not be looked up. The
last is said as such: pip-audit itself says "no known vulnerabilities" of packages that its service does not know.
"""

import json
import subprocess
import sys
from collections.abc import Mapping, Sequence

from seglib import paths

LOCKS = ("requirements.lock", "bench/requirements.lock")
# advisory → why it does no harm here; the one place for them. One that is not found any more is to be removed.
IGNORED: dict[str, str] = {}
FINE, FOUND, NOT_KNOWN = 0, 1, 2


def main(arguments: Sequence[str] = ()) -> int:
    """Prints what is known of the pinned set; the status to end with.

    Args: arguments — for pip-audit, instead of the repository's lock files.
    """
    locks = [part for lock in LOCKS for part in ("-r", str(paths.ROOT / lock))]
    command = [sys.executable, "-m", "pip_audit", "--disable-pip", "--require-hashes", "--format", "json"]
    command += ["--vulnerability-service", "osv", "--progress-spinner", "off", *(arguments or locks)]
    done = subprocess.run(command, capture_output=True, text=True)
    try:
        packages = json.loads(done.stdout)["dependencies"]
    except (ValueError, KeyError, TypeError):
        reason = (done.stderr.strip() or "it said nothing").splitlines()[-1]
        print(f"NOT KNOWN: advisories could not be looked up, which says nothing of whether there are any.\n{reason}")
        return NOT_KNOWN
    return _told(packages)


def _told(packages: Sequence[Mapping]) -> int:
    left_out = sorted(f"{p['name']}: {p['skip_reason']}" for p in packages if "skip_reason" in p)
    asked = [p for p in packages if "skip_reason" not in p]
    found = [(p, v, {v["id"], *v["aliases"]}) for p in asked for v in p["vulns"]]
    serious = [(p, v) for p, v, ids in found if not ids & IGNORED.keys()]
    for package, advisory in serious:
        fixed = ", ".join(advisory["fix_versions"]) or "no version"
        print(f"{package['name']} {package['version']}: {advisory['id']}, fixed in {fixed}. {advisory['description']}")
    for name, reason in IGNORED.items():
        still = any(name in ids for _, _, ids in found)
        print(f"ignored {name}: {reason}" if still else f"{name} is ignored and not found any more: remove it")
    print(f"{len(asked)} of {len(packages)} packages looked up, {len(serious)} advisories")
    if left_out or not asked:
        print("NOT KNOWN of the others:", *left_out, sep="\n  ")
    return FOUND if serious else NOT_KNOWN if left_out or not asked else FINE


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
