"""Tests and measures occ-gpu on a machine with a GPU and PyTorch, and writes one JSON record.

The machine needs no Swift: build `occ-gpu` and `occ-bench` elsewhere with --static-swift-stdlib and bring them with the shared
libraries they need. In this order: the self-test of every operation (a miss ends the run), with --sanitize the same under
compute-sanitizer's memcheck and racecheck, the ceilings of the GPU, every operation's time in a contrastive step, and the
side-by-side benchmark.

    python bench/gpu/run.py --binaries .build/release --commit "$(git describe --always)" --record bench/records/gpu.json
"""

import argparse
import datetime
import json
import os
import subprocess
import sys
import time

here = os.path.dirname(os.path.abspath(__file__))
options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
options.add_argument("--binaries", default=".build/release", help="the folder of occ-gpu and occ-bench")
options.add_argument("--record", default="gpu.json", help="the record to write")
options.add_argument("--commit", default="unknown", help="of the binaries")
options.add_argument("--device", default="cuda", help="cuda, cuda:N, or cpu to try the script out")
options.add_argument("--tiny", action="store_true", help="tiny sizes")
options.add_argument("--only", help="only work whose name contains this")
options.add_argument("--repetitions", type=int, default=5)
options.add_argument("--sanitize", action="store_true", help="the self-test under compute-sanitizer, and nothing else")
o = options.parse_args()
started = time.time()


def say(text):
    print(f"[{time.time() - started:5.0f} s] {text}", file=sys.stderr, flush=True)


def run(*words, check=True, prefix=()):
    done = subprocess.run([*prefix, *words], stdout=subprocess.PIPE, text=True)
    if check and done.returncode != 0:
        sys.exit(f"{' '.join(words)}: exit status {done.returncode}\n{done.stdout}")
    return done


def program(name):
    return os.path.join(o.binaries, name)


def output(*words):
    try:
        return subprocess.run(words, stdout=subprocess.PIPE, text=True).stdout.strip()
    except OSError:
        return None


if o.sanitize:
    for tool in ("memcheck", "racecheck"):
        say(f"self-test under compute-sanitizer {tool}")
        checked = run(
            program("occ-gpu"), "selftest", "--device", o.device, check=False,
            prefix=("compute-sanitizer", "--tool", tool, "--error-exitcode", "9"))
        print(checked.stdout)
        if checked.returncode != 0:
            sys.exit(f"compute-sanitizer {tool}: exit status {checked.returncode}")
    sys.exit()

record = {
    "date": datetime.date.today().isoformat(),
    "commit": o.commit,
    "driver": output("nvidia-smi", "--query-gpu=name,driver_version,memory.total", "--format=csv,noheader"),
    "devices": json.loads(run(program("occ-gpu"), "devices", "--json").stdout),
}
say("self-test")
record["selftest"] = json.loads(run(program("occ-gpu"), "selftest", "--device", o.device, "--json").stdout)

say("ceilings")
job = {"work": "ceilings", "threads": 0, "device": "cuda" if o.device.startswith("cuda") else "cpu"}
peer = subprocess.run(
    [sys.executable, os.path.join(here, "..", "peers", "serve.py")],
    input=json.dumps(job) + "\n", stdout=subprocess.PIPE, text=True, check=True)
ceilings = record["ceilings"] = json.loads(peer.stdout)

say("a contrastive step, operation by operation")
sizes = ["--batch", "8", "--width", "0.0625"] if o.tiny else ["--batch", "256"]
plan = json.loads(
    run(
        program("occ-gpu"), "plan", "--device", o.device, "--method", "contrastive", "--math", "bf16", "--profile",
        "--json", *sizes
    ).stdout)
record["operations"] = [
    {
        "operation": each["operation"],
        "label": each["label"],
        "seconds": each["seconds"],
        "tflops": each["flop"] / each["seconds"] / 1e12,
        "share_of_gemm": each["flop"] / each["seconds"] / 1e12 / ceilings["bf16_tflops"],
        "gbps": each["bytes"] / each["seconds"] / 1e9,
        "share_of_copy": each["bytes"] / each["seconds"] / 1e9 / ceilings["copy_gbps"],
    }
    for each in plan["operations"]
    if each["seconds"] > 0
]

say("side by side")
words = ["gpu", "--device", o.device, "--python", sys.executable, "--scripts", os.path.join(here, "..", "peers"),
         "--repetitions", str(o.repetitions), "--json"]
words += ["--tiny"] if o.tiny else []
words += ["--only", o.only] if o.only else []
record["results"] = json.loads(run(program("occ-bench"), *words).stdout)["results"]
record["seconds"] = time.time() - started

with open(o.record, "w") as file:
    json.dump(record, file, indent=1)
    file.write("\n")

print("operation                       TFLOP/s  of GEMM     GB/s  of copy     time")
for each in sorted(record["operations"], key=lambda each: -each["seconds"])[:25]:
    print(
        f"{each['operation']:28} {each['tflops']:10.2f} {each['share_of_gemm']:8.0%} {each['gbps']:8.0f} "
        f"{each['share_of_copy']:8.0%} {1e6 * each['seconds']:8.1f} us  {each['label']}")
for each in record["results"]:
    ours = each["ours"]["median_seconds"]
    theirs = "  ".join(f"{peer['name'].split()[-1]} {peer['median_seconds'] / ours:.2f}x" for peer in each["peers"])
    print(f"{each['work']:36} {1e3 * ours:9.3f} ms   PyTorch over ours: {theirs}")
say(f"wrote {o.record}")
