"""The peers of occ-bench: reads a job (one line of JSON), then does it as often as every further line says and prints the
time.

    {"work": "step", "form": "channels_last", "method": "contrastive", "width": 1, "rows": 64, "threads": 2}
"""

import json
import os
import resource
import sys
import time

job = json.loads(sys.stdin.readline())
threads = job["threads"] or len(os.sched_getaffinity(0))
os.environ.setdefault("OMP_NUM_THREADS", str(threads))

import numpy as np  # noqa: E402
import torch  # noqa: E402
import torch.nn.functional as F  # noqa: E402

from networks import Model, initialize, nt_xent  # noqa: E402

# Compilers talk; the answers have standard output to themselves.
answers = os.fdopen(os.dup(1), "w")
os.dup2(2, 1)
torch.set_num_threads(threads)
torch.manual_seed(0)
on_gpu = job.get("device") == "cuda"
if on_gpu:
    torch.set_default_device("cuda")
    torch.backends.cudnn.benchmark = True
    torch.set_float32_matmul_precision("high")


def answer(**fields):
    answers.write(json.dumps(fields) + "\n")
    answers.flush()


def compiled(function):
    if job["form"] in ("compile", "compile-graph"):
        return torch.compile(function)
    return torch.compile(function, mode="max-autotune") if job["form"] == "max-autotune" else function


def captured(once):
    """The work as a CUDA graph, replayed: PyTorch without the time that Python takes to launch its kernels."""
    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        for _ in range(3):
            once()
    torch.cuda.current_stream().wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        once()
    return graph.replay


def form(model, x):
    if job["form"] == "channels_last" or on_gpu:
        model, x = model.to(memory_format=torch.channels_last), x.to(memory_format=torch.channels_last)
    return compiled(model), x


def halved():
    """bf16 products where a GPU does them; the CPU benchmarks are in single precision."""
    return torch.autocast("cuda", torch.bfloat16, enabled=on_gpu)


def step():
    rotation = job["method"] == "rotation"
    model = Model("resnet18", job["width"], 32, [512] * 8 + ([] if rotation else [128]), 4 if rotation else 0)
    initialize(model)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9, weight_decay=3e-4)
    run, ready = form(model, torch.rand(job["rows"], 3, 32, 32))
    labels = torch.arange(job["rows"]) % 4
    images = torch.randint(0, 256, (4096, 3, 32, 32), dtype=torch.uint8) if job.get("augmented") else None

    def batch():
        if images is None:
            return ready
        from train_torch import augment as recipe

        if rotation:
            x = images[torch.randint(0, len(images), (job["rows"] // 4,))].float() / 255
            x = recipe(x.repeat_interleave(4, 0))
            x = torch.stack([torch.rot90(x[i::4], i, (2, 3)) for i in range(4)], 1).flatten(0, 1)
        else:
            x = images[torch.randint(0, len(images), (job["rows"] // 2,))].float() / 255
            x = torch.cat([recipe(x), recipe(x)])
        return x.to(memory_format=torch.channels_last)

    def once():
        x = batch()
        with halved():
            output = run(x)
            loss = F.cross_entropy(output, labels) if rotation else nt_xent(output, 0.2, "cross-view")
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()

    return once, f"PyTorch {torch.__version__} {job['form']}"


def infer():
    model = Model("resnet18", job["width"], 32, [], 4).encoder.eval()
    run, x = form(model, torch.rand(job["rows"], 3, 32, 32))

    @torch.no_grad()
    def once():
        with halved():
            run(x)

    return once, f"PyTorch {torch.__version__} {job['form']}"


def nt_xent_alone():
    z = (torch.randn(job["rows"], job["columns"]) + 0.5).requires_grad_()
    loss = compiled(lambda z: nt_xent(z, 0.2, "cross-view"))

    def once():
        with halved():
            value = loss(z)
        torch.autograd.grad(value, z)

    return once, f"PyTorch {torch.__version__} {job['form']}"


def kde_products():
    x, s = (F.normalize(torch.randn(job["rows"], job["columns"]) + 0.5) for _ in range(2))
    density = compiled(lambda x, s: torch.logsumexp(20 * (x @ s.T), 1))

    @torch.no_grad()
    def once():
        density(x, s)

    return once, f"PyTorch {torch.__version__} {job['form']}"


def ceilings():
    """What the GPU reaches: TFLOP/s of a bf16 product of 8192^3, GB/s of a copy of 4 GiB (read and written)."""
    size, count = (8192, 1 << 30) if on_gpu else (256, 1 << 20)
    a, b = (torch.randn(size, size).bfloat16() for _ in range(2))
    source, to = torch.rand(count), torch.empty(count)
    wait = torch.cuda.synchronize if on_gpu else lambda: None

    def best(work, repetitions=20):
        times = []
        for _ in range(repetitions):
            wait()
            start = time.perf_counter()
            work()
            wait()
            times.append(time.perf_counter() - start)
        return min(times)

    return {
        "bf16_tflops": 2 * size**3 / best(lambda: a @ b) / 1e12,
        "copy_gbps": 8 * count / best(lambda: to.copy_(source)) / 1e9,
        "device": torch.cuda.get_device_name() if on_gpu else "cpu",
        "torch": torch.__version__,
        "cuda": torch.version.cuda,
        "cudnn": torch.backends.cudnn.version() if on_gpu else None,
    }


def conv():
    layer = torch.nn.Conv2d(job["inputs"], job["outputs"], 3, job["stride"], 1, bias=False)
    run, x = form(layer, torch.rand(64, job["inputs"], job["side"], job["side"]))
    x.requires_grad_()
    dy = torch.rand_like(run(x))
    return (lambda: torch.autograd.grad(run(x), [x, layer.weight], dy)), f"PyTorch {torch.__version__} {job['form']}"


def normals(rows):
    x = np.random.default_rng(0).normal(size=(rows, job["columns"])) + 0.5
    return x / np.linalg.norm(x, axis=1, keepdims=True)


def kde():
    import sklearn
    from sklearn.neighbors import KernelDensity

    train, queries = normals(job["rows"]), normals(job["queries"])
    gamma = 10 / (train.shape[1] * train.var())
    model = KernelDensity(bandwidth=np.sqrt(1 / (2 * gamma))).fit(train)
    return lambda: model.score_samples(queries), f"scikit-learn {sklearn.__version__}"


def ocsvm():
    import sklearn
    from sklearn.svm import OneClassSVM

    train = normals(job["rows"])
    gamma = 10 / (train.shape[1] * train.var())
    return lambda: OneClassSVM(kernel="rbf", gamma=gamma, nu=0.5).fit(train), f"scikit-learn {sklearn.__version__}"


def patches():
    """Images unfolded into patches, the same network, one Gaussian on normalized features, the highest patch and a map."""
    import sklearn
    from sklearn.covariance import EmpiricalCovariance

    patch, stride, side = job["patch"], job["stride"], 256
    model = Model("resnet18", job["width"], patch, [], 4).encoder.eval()
    run, _ = form(model, torch.rand(64, 3, patch, patch))
    detector = EmpiricalCovariance().fit(F.normalize(torch.rand(2000, model.features)).numpy())
    images = torch.randint(0, 256, (job["rows"], 3, side, side), dtype=torch.uint8)
    offsets = torch.arange(patch) + 0.5 - patch / 2
    line = torch.exp(-0.5 * (offsets / (patch * 10 / 32)) ** 2)
    kernel = (line[:, None] * line)[None, None]
    layout = torch.channels_last if job["form"] == "channels_last" else torch.contiguous_format

    @torch.no_grad()
    def once():
        for image in images:
            windows = (image.float() / 255).unfold(1, patch, stride).unfold(2, patch, stride)
            cells = windows.shape[1]
            rows = windows.permute(1, 2, 0, 3, 4).reshape(-1, 3, patch, patch)
            found = torch.cat([run(part.contiguous(memory_format=layout)) for part in rows.split(64)])
            scores = torch.from_numpy(detector.mahalanobis(F.normalize(found).numpy())).float().reshape(1, 1, cells, cells)
            total = F.conv_transpose2d(torch.ones_like(scores), kernel, stride=stride)
            F.conv_transpose2d(scores, kernel, stride=stride) / total
            scores.max()

    return once, f"PyTorch {torch.__version__} {job['form']}, scikit-learn {sklearn.__version__}"


def maps():
    """anomalib's PaDiM or PatchCore alone, on images that are ready: its network, fitted numbers that are drawn, and maps."""
    import anomalib_models

    shape, rows = (3, job["side"], job["side"]), job["rows"]
    if job["detector"] == "padim":
        model = anomalib_models.PadimModel("resnet18", ["layer1", "layer2", "layer3"], pre_trained=False).eval()
        places, channels = (job["side"] // 4) ** 2, model.n_features
        model.gaussian.mean = torch.rand(channels, places)
        # Of the size that inverses have, and positive definite.
        model.gaussian.inv_covariance = torch.eye(channels).repeat(places, 1, 1) + 0.01 * torch.rand(channels, 1)
    else:
        model = anomalib_models.PatchcoreModel(["layer2", "layer3"], "resnet18", pre_trained=False).eval()
        model.memory_bank = torch.rand(job["memory"], 384)
    network = model.feature_extractor
    if job["form"] == "channels_last":
        model = model.to(memory_format=torch.channels_last)
    if job["form"] == "compile":
        network.feature_extractor = torch.compile(network.feature_extractor)
    x = torch.rand(rows, *shape)
    x = x.to(memory_format=torch.channels_last) if job["form"] == "channels_last" else x

    @torch.no_grad()
    def once():
        model(x)

    return once, f"anomalib {anomalib_models.VERSION}, {job['form']}"


def augment():
    from train_torch import augment as recipe

    x = torch.rand(job["rows"], 3, 32, 32)
    return lambda: recipe(x), f"PyTorch {torch.__version__}"


def load_one(path):
    from PIL import Image

    return Image.open(path).convert("RGB").resize((job["side"], job["side"]), Image.BILINEAR).tobytes()


def load():
    import glob
    from concurrent import futures

    import PIL

    paths = sorted(glob.glob(f"{job['images']}/*"))
    Pool = futures.ThreadPoolExecutor if job["form"] == "threads" else futures.ProcessPoolExecutor
    pool = Pool(threads)
    return lambda: list(pool.map(load_one, paths, chunksize=4)), f"Pillow {PIL.__version__}, {threads} {job['form']}"


if job["work"] == "ceilings":
    answer(**ceilings())
    sys.exit()
once, name = {"nt_xent": nt_xent_alone, "kde_products": kde_products, "step": step, "infer": infer, "patches": patches, "maps": maps, "conv": conv, "kde": kde, "ocsvm": ocsvm, "augment": augment, "load": load}[
    job["work"]
]()
if on_gpu and job.get("form") in ("graph", "compile-graph"):
    once = captured(once)
answer(name=name)
for line in sys.stdin:
    if on_gpu:
        torch.cuda.synchronize()
    start = time.perf_counter()
    for _ in range(int(line)):
        once()
    if on_gpu:
        torch.cuda.synchronize()
    seconds = time.perf_counter() - start
    peak = torch.cuda.max_memory_allocated() if on_gpu else resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    answer(seconds=seconds, peak_bytes=peak)
