#!/usr/bin/env python3
"""clang-tidy over the sources of the five folders, at a price a pull request can pay.   .ci/tidy.py BUILD

A file alone costs 25-60 s of processor time, nearly all of it torch's headers. So files are checked together, as one
translation unit that includes them: files that define the same name in their anonymous namespaces go to different
units, and a file that does not compile among the others is checked alone. A unit that passed is remembered in
BUILD/tidy by the hash of its sources, of every header, and of the set of checks.
"""
import concurrent.futures
import hashlib
import json
import os
import pathlib
import re
import shlex
import subprocess
import sys

FOLDERS = ["dist", "losses", "data", "models", "launch"]
root = pathlib.Path(__file__).resolve().parent.parent
if len(sys.argv) != 2 or not (pathlib.Path(sys.argv[1]) / "compile_commands.json").exists():
    sys.exit(f"{__doc__}\nBUILD: a folder with compile_commands.json, such as .build")
build = pathlib.Path(sys.argv[1]).resolve()
out = build / "tidy"


def compile_flags(commands):
    """What clang needs of the compiler's flags: the union over all files, less GCC's precompiled header."""
    flags = []
    for entry in commands:
        words = iter(shlex.split(entry["command"]))
        for word in words:
            if word in ("-isystem", "-idirafter"):
                pair = (word, next(words))
            elif re.match(r"-[ID].|-std=", word):
                pair = (word,)
            else:
                continue
            if pair not in flags:
                flags.append(pair)
    return [word for pair in flags for word in pair] + ["-w", "-fopenmp"]


def private_names(text):
    """Names defined in anonymous namespaces. clang-format puts each definition's first line in column 0."""
    names = set()
    for region in re.findall(r"^namespace \{$(.*?)^\}  // namespace$", text, re.M | re.S):
        for line in re.findall(r"^[A-Za-z].*$", region, re.M):
            line = re.sub(r"<[^()]*?>", "", line)
            match = re.match(r"(?:template )?(?:struct|class|enum class|enum|using) (\w+)", line) or re.search(r"(\w+)\s*[({=;\[]", line)
            names |= {match.group(1)} if match else set()
    return names


def units(sources):
    """Groups of files without a private name in common."""
    groups = []
    for source in sources:
        text = source.read_text()
        # Two definitions of main, or a directive that would reach the next file, are cause for a unit of its own.
        names = private_names(text) | ({"main"} if re.search(r"^int main\(", text, re.M) else set())
        for group in groups:
            if not group["names"] & names:
                break
        else:
            group = {"names": set(), "files": []}
            groups.append(group)
        group["names"] |= names
        group["files"].append(source)
    return [group["files"] for group in groups]


def tidy(files, flags, key, header):
    """None if the files pass, else what clang-tidy says."""
    digest = hashlib.sha256("\n".join([key, *(f"{f} {f.read_text()}" for f in files)]).encode()).hexdigest()[:24]
    passed = out / f"{digest}.passed"
    if passed.exists():
        return None
    unit = out / f"{digest}.cpp"
    unit.write_text("".join(f'#include "{f}"\n' for f in [header, *files]))
    run = subprocess.run(
        ["clang-tidy", "--quiet", f"--config-file={root}/.clang-tidy", "--header-filter", f"^{root}/({'|'.join(FOLDERS)})/",
         str(unit), "--", "-x", "c++", *flags], cwd=root, capture_output=True, text=True)
    if run.returncode == 0:
        passed.touch()
        return None
    broken = set(re.findall(r"^(\S+?):\d+:\d+: error: .*\[clang-diagnostic-error", run.stdout, re.M))
    if broken and len(files) > 1:
        apart = [f for f in files if str(f) in broken]
        together = [f for f in files if f not in apart] if apart else []
        said = [tidy(group, flags, key, header) for group in [together, *([f] for f in apart or files)] if group]
        return "".join(s for s in said if s) or None
    return run.stdout.replace(f"{root}/", "")


def main():
    out.mkdir(parents=True, exist_ok=True)
    tracked = subprocess.run(["git", "ls-files", "--cached", "--others", "--exclude-standard", *FOLDERS], cwd=root,
                             capture_output=True, text=True, check=True).stdout.split()
    commands = [c for c in json.loads((build / "compile_commands.json").read_text()) if c["file"].endswith(".cpp")]
    mine = [c for c in commands if os.path.relpath(c["file"], root).split("/")[0] in FOLDERS and "USE_C10D_NCCL" not in c["command"]]
    built = {os.path.relpath(c["file"], root) for c in mine}
    header = next(build.glob("**/saddle_pch.dir/cmake_pch.hxx"))
    headers = [root / f for f in sorted(tracked) if f.endswith(".h") and (root / f).exists()]
    version = subprocess.run(["clang-tidy", "--version"], capture_output=True, text=True, check=True).stdout
    key = "\n".join([version, (root / ".clang-tidy").read_text(), header.read_text(), *(f.read_text() for f in headers)])
    flags = compile_flags(mine)
    groups = units([root / f for f in sorted(built)])
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        said = list(pool.map(lambda files: tidy(files, flags, key, header), groups))
    faults = [s for s in said if s]
    print("\n".join(faults), end="")
    print(f"clang-tidy: {sum(map(len, groups))} files in {len(groups)} units, {len(faults)} units with findings")
    return 1 if faults else 0


sys.exit(main())
