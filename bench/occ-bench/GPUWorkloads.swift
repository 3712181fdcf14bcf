import Foundation
import OneClass

/// What is compared on a GPU: data resident on it, the same augmentation on both sides, bf16 products.
struct GPUWorkloads {
    let device: Device
    /// Sizes for a machine without a GPU, where the comparison is tried and its figures mean nothing.
    let tiny: Bool
    /// Forms of PyTorch: of eager, compile (torch.compile), max-autotune (the same with autotuning), and graph and
    /// compile-graph, in which all of a step is one CUDA graph.
    let forms: [String]

    private func name(_ text: String) -> String { tiny ? text + " (tiny)" : text }
    private var width: Double { tiny ? 0.0625 : 1 }

    private func job(_ work: String, _ fields: [String: Any], without other: String? = nil) -> [[String: Any]]
    {
        forms.filter { $0 != other }.map { form in
            var job = fields
            (job["work"], job["form"], job["threads"]) = (work, form, 0)
            job["device"] = device.isGPU ? "cuda" : "cpu"
            return job
        }
    }

    var all: [(name: String, make: () throws -> Comparison)] {
        var result: [(name: String, make: () throws -> Comparison)] = []
        for count in tiny ? [8] : [32, 256, 1024] {
            result.append(("contrastive step, \(count) pairs", { try step(Contrastive(), items: count) }))
        }
        result.append(("rotation step", { try step(RotationPrediction(), items: tiny ? 4 : 64) }))
        result.append(("inference", { try inference(rows: tiny ? 16 : 1024) }))
        for count in tiny ? [64] : [4096, 32_768] {
            result.append(("NT-Xent, \(count) embeddings", { try ntXent(count) }))
        }
        result.append(("KDE", { try density(tiny ? 200 : 20_000, columns: tiny ? 16 : 512) }))
        return result
    }

    /// Random pictures, as many as no batch has.
    private func images() -> ImageBatch {
        var random = CounterRandom(seed: 1, stream: 0xBE7C)
        let count = tiny ? 64 : 4096
        return ImageBatch(
            side: 32, pixels: (0..<count * 32 * 32 * 3).map { _ in UInt8(random.uniform() * 256) })
    }

    private func step(_ method: any Method, items: Int) throws -> Comparison {
        var c = RunConfiguration()
        (c.method, c.encoder) = (method, ResNet(.resnet18, width: width))
        (c.steps, c.batch, c.math) = (1_000_000, items, .bf16)
        let trainer = try Trainer(configuration: c, images: images(), device: device)
        let rows = trainer.imagesPerStep
        return Comparison(
            name: name(
                method is RotationPrediction
                    ? "rotation step, \(items) x 4" : "contrastive step, \(items) pairs"),
            items: Double(rows), unit: "images", body: { try trainer.advance() },
            peers: job("step", ["method": method.name, "width": width, "rows": rows, "augmented": true]),
            wait: device.synchronize)
    }

    private func inference(rows: Int) throws -> Comparison {
        let encoder = ResNet(.resnet18, width: width)
        let program = Program(device: device, math: .bf16), images = images()
        let (plan, (data, indices)) = try program.add("infer", .inference) { plan in
            let data = try plan.input("data", [images.count, 32, 32, 3], type: .uint8)
            let indices = try plan.input("indices", [rows], type: .int32)
            plan.keep(
                try encoder(try gather(data, indices: indices, in: plan), in: plan).pooled)
            return (data, indices)
        }
        try program.load()
        try program.initializeParameters(seed: 1)
        try program.write(images.pixels, to: data)
        try program.write((0..<Int32(rows)).map { $0 }, to: indices)
        return Comparison(
            name: name("inference, batch \(rows)"), items: Double(rows), unit: "images",
            body: { try plan.run() },
            peers: job("infer", ["width": width, "rows": rows]), wait: device.synchronize)
    }

    private func normals(_ count: Int, seed: UInt64) -> [Float] {
        var random = CounterRandom(seed: seed, stream: 0xBE7C)
        return (0..<count).map { _ in Float(random.normal() + 0.5) }
    }

    /// Loss and gradient, from embeddings that are not normalized yet.
    private func ntXent(_ count: Int) throws -> Comparison {
        let program = Program(device: device, math: .bf16)
        let (plan, z) = try program.add("nt-xent", .inputGradient) { plan in
            let z = try plan.input("z", [count, 128], type: .float32)
            plan.watch(z)
            let loss = try OneClass.ntXent(
                try l2Normalize(z, in: plan), temperature: 0.2, form: .crossView, in: plan)
            plan.keep(loss)
            if let gradient = try plan.differentiate(loss).gradient(of: z) { plan.keep(gradient) }
            return z
        }
        try program.load()
        try program.write(normals(count * 128, seed: 4), to: z)
        let memory = formatBytes(try program.memoryNeeded().total)
        return Comparison(
            name: name("NT-Xent, \(count) embeddings"), items: Double(count), unit: "embeddings",
            body: { try plan.run() },
            peers: job("nt_xent", ["rows": count, "columns": 128]), wait: device.synchronize,
            note: { "our memory: \(memory)" })
    }

    private func density(_ rows: Int, columns: Int) throws -> Comparison {
        let program = Program(device: device, math: .fast)
        let (plan, (x, s)) = try program.add("kde", .inference) { plan in
            let x = try plan.input("x", [rows, columns], type: .float32)
            let s = try plan.input("s", [rows, columns], type: .float32)
            plan.keep(try logSumExpProducts(x, s, scale: 20, in: plan))
            return (x, s)
        }
        try program.load()
        for (tensor, seed) in [(x, UInt64(5)), (s, 6)] {
            let matrix = FeatureMatrix(
                rows: rows, columns: columns, values: normals(rows * columns, seed: seed))
            try program.write(matrix.normalized().matrix.values, to: tensor)
        }
        let memory = formatBytes(try program.memoryNeeded().total)
        return Comparison(
            name: name("KDE, \(rows) x \(rows) x \(columns)"), items: Double(rows), unit: "queries",
            body: { try plan.run() },
            peers: job("kde_products", ["rows": rows, "columns": columns], without: "max-autotune"),
            wait: device.synchronize, note: { "our memory: \(memory)" })
    }
}
