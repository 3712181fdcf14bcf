import CKernels
import OCCEngine
import OCCNetworks
import TestSupport
import Testing

@Suite struct PlanTests {
    private func add(_ a: Tensor, _ b: Tensor, _ name: String, in plan: PlanBuilder) throws -> Tensor {
        let y = plan.transient(name, a.shape)
        try plan.add(name, y: y, a: a, b: b, ck_elementwise_params(count: Int64(a.count)))
        return y
    }

    /// Random graphs of additions: memory shared between tensors whose lives do not overlap must never show.
    @Test(arguments: 0..<20)
    func sharedMemoryDoesNotShow(_ seed: Int) throws {
        var random = TestRandom(UInt64(seed))
        let program = Program(device: try .cpu()), count = 300
        var expected: [[Float]] = []
        let (plan, (input, kept)) = try program.add("random", .inference) { plan in
            let input = try plan.input("x", [count], type: .float32)
            var tensors = [input], values = [[Float](repeating: 1, count: count)]
            for index in 0..<40 {
                let (a, b) = (
                    random.integers(1, below: tensors.count)[0], random.integers(1, below: tensors.count)[0]
                )
                tensors.append(try add(tensors[a], tensors[b], "t\(index)", in: plan))
                // Large sums wrap nothing: halving keeps them exact enough to compare for equality.
                values.append(zip(values[a], values[b]).map { $0 + $1 })
            }
            let kept = [10, 25, 40].map { tensors[$0] }
            kept.forEach(plan.keep)
            expected = [10, 25, 40].map { values[$0] }
            return (input, kept)
        }
        try program.load()
        try program.write([Float](repeating: 1, count: count), to: input)
        for _ in 0..<2 {
            try plan.run()
            for (tensor, values) in zip(kept, expected) {
                #expect(try program.read(tensor, of: plan) == values)
            }
        }
        #expect(plan.transientBytes < 41 * count * 4)
    }

    @Test func aChainNeedsTwoBuffers() throws {
        let program = Program(device: try .cpu())
        let (plan, _) = try program.add("chain", .inference) { plan in
            var x = try plan.input("x", [1024], type: .float32)
            for index in 0..<10 { x = try add(x, x, "t\(index)", in: plan) }
            plan.keep(x)
        }
        #expect(plan.transientBytes == 2 * 4096)
    }

    /// Too little memory is refused by name before anything is allocated.
    @Test func tooLargeProgramsAreRefused() throws {
        let program = Program(device: try .cpu())
        _ = try program.add("huge", .inference) { plan in
            _ = try plan.input("x", [1 << 22, 1 << 20], type: .float32)
        }
        let error = #expect(throws: OCCError.self) { try program.load() }
        #expect(error?.message.contains("16.0 TiB") == true)
        #expect(error?.remedy?.contains("batch") == true)
    }

    /// A failing operation is named.
    @Test func failuresNameTheOperation() throws {
        let program = Program(device: try .cpu())
        let (plan, (labels, logits)) = try program.add("bad labels", .inference) { plan in
            let labels = try plan.input("labels", [2], type: .int32)
            let logits = try plan.input("logits", [2, 3], type: .float32)
            let loss = plan.transient("loss", [1]), p = plan.transient("p", [2, 3])
            try plan.softmaxCrossEntropyForward(
                "objective", loss: loss, p: p, logits: logits, labels: labels,
                ck_cross_entropy_params(n: 2, c: 3, outliers: 0, outlier_weight: 0))
            return (labels, logits)
        }
        try program.load()
        try program.write([Int32(0), 3], to: labels)
        try program.write([Float](repeating: 0, count: 6), to: logits)
        let error = #expect(throws: KernelError.self) { try plan.run() }
        #expect(error?.operation == "softmax_cross_entropy_forward of objective")
    }

    /// A tensor seen in another shape, and in its own again, has the gradient of one use, however often it is seen.
    @Test func viewsHaveOneGradient() throws {
        let program = Program(device: try .cpu())
        var targets: Tensor?
        let (plan, (x, gradient)) = try program.add("views", .training) { plan in
            let x = try plan.input("x", [2, 3], type: .float32)
            plan.watch(x)
            let flat = plan.reshaped(try relu(x, in: plan), [6])
            let again = plan.reshaped(plan.reshaped(flat, [3, 2]), [2, 3])
            #expect(plan.reshaped(again, [6]) == flat)
            let target = try plan.input("target", [2, 3], type: .float32)
            targets = target
            let loss = try sumOfLosses(
                try meanSquaredError(again, target: target, in: plan),
                try meanSquaredError(plan.reshaped(again, [6]), target: plan.reshaped(target, [6]), in: plan),
                in: plan)
            let gradient = try #require(try plan.differentiate(loss).gradient(of: x))
            plan.keep(gradient)
            return (x, gradient)
        }
        try program.load()
        try program.write([Float](repeating: 0, count: 6), to: try #require(targets))
        try program.write([Float](arrayLiteral: 1, 2, 3, -4, 5, 6), to: x)
        try plan.run()
        // Twice the gradient of the mean of six squares.
        for (got, x) in zip(try program.read(gradient, of: plan), [1, 2, 3, 0, 5, 6] as [Float]) {
            #expect(abs(got - 4 * x / 6) < 1e-6)
        }
    }
}
