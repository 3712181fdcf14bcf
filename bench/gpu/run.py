"""Tests and measures occ-gpu on a machine with a GPU and PyTorch, and writes one JSON record.

The machine needs no Swift: pack `occ-gpu` and `occ-bench` elsewhere (bench/gpu/pack) and bring the file. In this order: the
self-test of every operation (a miss ends the run), the small cases again under compute-sanitizer's memcheck and racecheck, the
ceilings of the GPU, every operation's time in a contrastive step, and the side-by-side benchmark. NVRTC and cuBLASLt may be
PyTorch's own (nvidia/*/lib of its site-packages). What is finished is in the record, whatever ends the run; --parts and --only
split it where a machine is had for minutes.

    python bench/gpu/run.py --binaries .build/release --commit "$(git describe --always)" --record bench/records/gpu.json
"""

import argparse
import datetime
import glob
import json
import os
import subprocess
import sys
import sysconfig
import time

PARTS = ["selftest", "memcheck", "racecheck", "ceilings", "operations", "bench"]

here = os.path.dirname(os.path.abspath(__file__))
options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
options.add_argument("--binaries", default=".build/release", help="the folder of occ-gpu and occ-bench")
options.add_argument("--record", default="gpu.json", help="the record to write")
options.add_argument("--commit", default="unknown", help="of the binaries")
options.add_argument("--device", default="cuda", help="cuda, cuda:N, or cpu to try the script out")
options.add_argument("--tiny", action="store_true", help="tiny sizes")
options.add_argument("--parts", default=",".join(PARTS), help="which of %(default)s")
options.add_argument("--pairs", default="32,1024", help="batches of the contrastive step in the part operations")
options.add_argument("--only", help="of the part bench, the work whose name contains one of these words, with commas")
options.add_argument("--forms", help="of PyTorch in the part bench: eager, graph, compile-graph (these by default), compile, max-autotune")
options.add_argument("--repetitions", type=int, default=5)
o = options.parse_args()
parts = o.parts.split(",")
if unknown := set(parts) - set(PARTS):
    sys.exit(f"--parts: there is no {', '.join(unknown)}; there are {', '.join(PARTS)}")
libraries = glob.glob(os.path.join(sysconfig.get_paths()["purelib"], "nvidia", "*", "lib"))
os.environ.setdefault("OCC_CUDA_PATH", ":".join(sorted(libraries)))
started = time.time()
record = {"date": datetime.date.today().isoformat(), "commit": o.commit, "started": time.strftime("%H:%M:%S")}


def say(text):
    print(f"[{time.time() - started:5.0f} s] {text}", file=sys.stderr, flush=True)


def save():
    record["seconds"] = time.time() - started
    with open(o.record, "w") as file:
        json.dump(record, file, indent=1)
        file.write("\n")


def run(*words):
    done = subprocess.run(words, stdout=subprocess.PIPE, text=True)
    if done.returncode != 0:
        save()
        sys.exit(f"{' '.join(words)}: exit status {done.returncode}\n{done.stdout}")
    return done.stdout


def program(name):
    return os.path.join(o.binaries, name)


def card():
    try:
        query = ["nvidia-smi", "--query-gpu=name,driver_version,memory.total", "--format=csv,noheader"]
        return subprocess.run(query, stdout=subprocess.PIPE, text=True).stdout.strip()
    except OSError:
        return None


record["driver"] = card()
record["devices"] = json.loads(run(program("occ-gpu"), "devices", "--json"))

if "selftest" in parts:
    say("self-test")
    done = subprocess.run(
        [program("occ-gpu"), "selftest", "--device", o.device, "--json"], stdout=subprocess.PIPE, text=True)
    record["selftest"] = json.loads(done.stdout)
    save()
    for row in record["selftest"]["rows"]:
        for failure in row["failures"]:
            print(f"{row['operation']} {row['math']}: {failure}")
    if done.returncode != 0:
        sys.exit("the self-test failed; the failures are above and in the record")
    say(f"{sum(row['cases'] for row in record['selftest']['rows'])} cases, all well")

for tool in ("memcheck", "racecheck"):
    if tool in parts:
        say(f"self-test under compute-sanitizer {tool}")
        done = subprocess.run(
            ["compute-sanitizer", "--tool", tool, "--error-exitcode", "9", program("occ-gpu"), "selftest", "--small",
             "--device", o.device],
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        record[tool] = {"exit_status": done.returncode, "last_lines": done.stdout.splitlines()[-5:]}
        save()
        if done.returncode != 0:
            sys.exit(f"compute-sanitizer {tool}: exit status {done.returncode}\n{done.stdout[-8000:]}")
        say("; ".join(record[tool]["last_lines"][-2:]))

if "ceilings" in parts:
    say("ceilings")
    job = {"work": "ceilings", "threads": 0, "device": "cuda" if o.device.startswith("cuda") else "cpu"}
    peer = subprocess.run(
        [sys.executable, os.path.join(here, "..", "peers", "serve.py")],
        input=json.dumps(job) + "\n", stdout=subprocess.PIPE, text=True, check=True)
    record["ceilings"] = json.loads(peer.stdout)
    save()
    say(json.dumps(record["ceilings"]))

if "operations" in parts:
    record["operations"] = {}
    for pairs in o.pairs.split(","):
        say(f"a contrastive step of {pairs} pairs, operation by operation")
        sizes = ["--batch", "8", "--width", "0.0625"] if o.tiny else ["--batch", pairs]
        words = ["plan", "--device", o.device, "--method", "contrastive", "--math", "bf16", "--profile", "--json"]
        plan = json.loads(run(program("occ-gpu"), *words, *sizes))
        record["operations"][pairs] = [
            {
                "operation": each["operation"],
                "label": each["label"],
                "seconds": each["seconds"],
                "tflops": each["flop"] / each["seconds"] / 1e12,
                "gbps": each["bytes"] / each["seconds"] / 1e9,
            }
            for each in plan["operations"]
            if each["seconds"] > 0
        ]
        save()
        total = sum(each["seconds"] for each in record["operations"][pairs])
        print(f"{1e3 * total:.3f} ms in all; operation, time, TFLOP/s, GB/s, label")
        for each in sorted(record["operations"][pairs], key=lambda each: -each["seconds"])[:15]:
            print(
                f"{each['operation']:28} {1e6 * each['seconds']:8.1f} us {each['tflops']:8.2f} {each['gbps']:8.0f}  "
                f"{each['label']}", flush=True)

if "bench" in parts:
    say("side by side")
    record["results"] = []
    for only in (o.only or "").split(","):
        words = ["gpu", "--device", o.device, "--python", sys.executable, "--scripts", os.path.join(here, "..", "peers"),
                 "--repetitions", str(o.repetitions), "--json"]
        words += ["--tiny"] if o.tiny else []
        words += ["--only", only] if only else []
        words += ["--forms", o.forms] if o.forms else []
        results = json.loads(run(program("occ-bench"), *words))["results"]
        record["results"] += results
        save()
        for each in results:
            ours = each["ours"]["median_seconds"]
            theirs = "  ".join(
                f"{peer['name'].split()[-1]} {peer['median_seconds'] / ours:.2f}x" for peer in each["peers"])
            print(f"{each['work']:36} {1e3 * ours:9.3f} ms   PyTorch over ours: {theirs}", flush=True)
save()
say(f"wrote {o.record}")
