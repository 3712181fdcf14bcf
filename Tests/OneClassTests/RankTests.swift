import CKernels
import CUDAEmulation
import OCCDetectors
import OCCEngine
import OCCNetworks
import OneClass
import TestSupport
import Testing

/// One run by several ranks, as threads here: the same batches, draws, statistics and gradients as by one process.
@Suite struct RankTests {
    private static let dataset = Result { try ImageDataset.load("builtin:shapes") }

    private static func configuration(_ method: String, steps: Int) throws -> RunConfiguration {
        var c = RunConfiguration()
        c.method = try smallMethod(method)
        c.encoder = ResNet(.resnet10, width: 0.0625)
        // Adam makes steps of one size of gradients that are rounding.
        c.optimizer = .sgd
        if c.method.usesOutliers { c.outliers = "builtin:surface" }
        if !c.method.trainsEncoder { c.detector = OwnScore() }
        c.head = c.method.defaults.headWidths.isEmpty ? [] : [16, 8]
        (c.batch, c.steps, c.math) = (12, steps, .strict)
        (c.maxTrain, c.maxTest) = (32, 20)
        // Large steps of so small a network amplify every rounding.
        (c.learningRate, c.weightDecay) = (1e-4, 3e-4)
        // Its loss is ten times the distances that are outside, and so are its roundings.
        if method == "deep-svdd-soft" { c.learningRate = 1e-5 }
        return c
    }

    /// What is left of a training run.
    private struct Trained: Sendable, Equatable {
        var losses: [Double], norms: [Double], ranksOfFeatures: [Double]
        var weights: [Float], statistics: [Float]
    }

    private static func train(_ c: RunConfiguration, _ device: Device) throws -> Trained {
        let split = try c.split(try dataset.get())
        let trainer = try Trainer(
            configuration: c, images: split.train, outliers: split.outliers, device: device)
        var result = Trained(losses: [], norms: [], ranksOfFeatures: [], weights: [], statistics: [])
        _ = try trainer.run(recordEvery: 1) {
            result.losses.append($0.loss)
            result.norms.append($0.collapse.gradientNorm)
            result.ranksOfFeatures.append($0.collapse.effectiveRank)
        }
        for parameter in trainer.program.layout.parameters {
            let values = try trainer.program.read(parameter.tensor)
            if parameter.isStatistic { result.statistics += values } else { result.weights += values }
        }
        return result
    }

    private static func shared(
        _ c: RunConfiguration, ranks: Int, _ device: @escaping @Sendable () throws -> Device
    ) throws -> [Trained] {
        try ThreadRanks.run(ranks) { communicator in
            let device = try device()
            try device.join(communicator)
            return try train(c, device)
        }
    }

    private static func close(_ a: [Float], _ b: [Float], _ bound: Double) -> Bool {
        a.count == b.count
            && zip(a, b).allSatisfy { abs(Double($0) - Double($1)) <= bound * max(1, abs(Double($1))) }
    }

    private static func close(_ a: [Double], _ b: [Double], _ bound: Double) -> Bool {
        close(a.map(Float.init), b.map(Float.init), bound)
    }

    @Test(arguments: Methods.registry.names, [2, 3])
    func ranksTrainAsOneProcess(_ method: String, _ ranks: Int) throws {
        let c = try Self.configuration(method, steps: 3)
        let alone = try Self.train(c, .choose("cpu"))
        let all = try Self.shared(c, ranks: ranks) { try .choose("cpu") }
        #expect(alone.losses.count == 3)
        for rank in all {
            #expect(Self.close(rank.losses, alone.losses, 1e-4), "\(rank.losses) \(alone.losses)")
            #expect(Self.close(rank.norms, alone.norms, 1e-2), "\(rank.norms) \(alone.norms)")
            #expect(Self.close(rank.ranksOfFeatures, alone.ranksOfFeatures, 1e-3))
            let gap = zip(rank.weights, alone.weights).map { abs($0 - $1) }.max() ?? 0
            #expect(Self.close(rank.weights, alone.weights, 1e-5), "off by \(gap)")
            #expect(Self.close(rank.statistics, alone.statistics, 1e-4))
            // All ranks hold the same model, to the last bit.
            #expect(rank == all[0])
        }
    }

    /// With Adam, at the rate and with the decay of the methods that are trained with it: where a gradient is next to nothing,
    /// rounding turns its sign and Adam's step, which the loss hardly sees.
    @Test(arguments: Methods.registry.entries.filter { $0.defaults.optimizer == .adam }.map(\.name), [2, 3])
    func ranksTrainAsOneProcessByAdam(_ method: String, _ ranks: Int) throws {
        var c = try Self.configuration(method, steps: 6)
        (c.optimizer, c.learningRate, c.weightDecay) = (nil, nil, nil)
        #expect(c.resolved.optimizer == .adam)
        let alone = try Self.train(c, .choose("cpu"))
        let all = try Self.shared(c, ranks: ranks) { try .choose("cpu") }
        c.steps = 0
        let start = try Self.train(c, .choose("cpu")).weights
        let change = zip(alone.weights, start).map { Double($0) - Double($1) }
        for rank in all {
            #expect(Self.close(rank.losses, alone.losses, 1e-4), "\(rank.losses) \(alone.losses)")
            let gap = zip(rank.weights, alone.weights).map { Double($0) - Double($1) }
            let error = (dot(gap, gap) / dot(change, change)).squareRoot()
            #expect(error <= 0.1, "what training changes is off by \(error) of itself")
            #expect(rank == all[0])
        }
    }

    @Test func symmetricNTXentAndLARSAreSharedToo() throws {
        var c = try Self.configuration("contrastive", steps: 3)
        var method = Contrastive()
        method.form = .symmetric
        c.method = method
        c.optimizer = .lars
        let alone = try Self.train(c, .choose("cpu"))
        let all = try Self.shared(c, ranks: 2) { try .choose("cpu") }
        #expect(Self.close(all[0].losses, alone.losses, 1e-5), "\(all[0].losses) \(alone.losses)")
        #expect(Self.close(all[0].weights, alone.weights, 1e-5))
        #expect(all[1] == all[0])
    }

    /// The gradient of the first step, before anything is amplified. Of the first eight initial weights, 1 and 3 have a
    /// pre-activation of rotation prediction so near 0 that rounding takes it across the ReLU's kink.
    @Test(arguments: ["contrastive", "rotation", "cutpaste-3way"])
    func theFirstGradientIsThatOfTheWholeBatch(_ method: String) throws {
        var c = try Self.configuration(method, steps: 1)
        for seed in [2, 4, 5, 6] as [UInt64] {
            c.seed = seed
            let alone = try Self.train(c, .choose("cpu"))
            let all = try Self.shared(c, ranks: 4) { try .choose("cpu") }
            #expect(abs(all[0].norms[0] / alone.norms[0] - 1) < 1e-5, "\(all[0].norms) \(alone.norms)")
            #expect(abs(all[0].losses[0] / alone.losses[0] - 1) < 1e-5)
        }
    }

    @Test func theSameRanksGiveTheSameBits() throws {
        let c = try Self.configuration("contrastive", steps: 4)
        let first = try Self.shared(c, ranks: 3) { try .choose("cpu") }
        let second = try Self.shared(c, ranks: 3) { try .choose("cpu") }
        #expect(first == second)
    }

    /// Without synchronization each rank normalizes by its own rows: another model, and still one on all ranks.
    @Test func localStatisticsAreOfARanksOwnRows() throws {
        var c = try Self.configuration("rotation", steps: 2)
        let together = try Self.shared(c, ranks: 2) { try .choose("cpu") }
        c.batchNorm = .local
        let apart = try Self.shared(c, ranks: 2) { try .choose("cpu") }
        #expect(apart[0].weights == apart[1].weights)
        #expect(apart[0].statistics != apart[1].statistics)
        #expect(!Self.close(apart[0].losses, together[0].losses, 1e-4))
    }

    /// Patches of one image lie in one place in all its views, whichever rank has it.
    @Test func patchesLieWhereOneProcessHasThem() throws {
        var c = try Self.configuration("cutpaste-3way", steps: 2)
        c.patch = 16
        let alone = try Self.train(c, .choose("cpu"))
        let all = try Self.shared(c, ranks: 3) { try .choose("cpu") }
        #expect(Self.close(all[0].losses, alone.losses, 1e-5), "\(all[0].losses) \(alone.losses)")
    }

    @Test func aBatchThatCannotBeSharedIsRefused() throws {
        let c = try Self.configuration("rotation", steps: 1)
        #expect(throws: OCCError.self) { try Self.shared(c, ranks: 5) { try .choose("cpu") } }
    }

    /// On GPUs by NCCL, in graphs; and where one rank lacks NCCL by all through the host, without graphs.
    @Test(arguments: [true, false])
    func emulatedGPUsTrainAsTheCPU(_ hasNCCL: Bool) throws {
        let c = try Self.configuration("contrastive", steps: 4)
        let alone = try Self.train(c, .choose("cpu"))
        let all = try ThreadRanks.run(2) { communicator in
            let lacks = !hasNCCL && communicator.rank == 1
            let device = try Device.cuda(
                0, driver: lacks ? ck_emulated_driver_without_nccl() : ck_emulated_driver())
            try device.join(communicator)
            ck_emulation_reset_counts()
            let trained = try Self.train(c, device), counts = ck_emulation_count()
            return (trained: trained, exchanges: counts.exchanges, graphs: counts.graph_launches)
        }
        for rank in all {
            #expect(
                Self.close(rank.trained.losses, alone.losses, 1e-3), "\(rank.trained.losses) \(alone.losses)")
            #expect(Self.close(rank.trained.weights, alone.weights, 1e-4))
            #expect((rank.exchanges > 0) == hasNCCL)
            #expect((rank.graphs > 0) == hasNCCL)
            #expect(rank.trained.weights == all[0].trained.weights)
        }
    }

    // MARK: Gradients in pieces

    /// What is exchanged at a time in these tests, of some 300 KB of gradients.
    private static let pieceBytes = 1 << 14

    /// A piece's mean begins when its last gradient is there and is finished before anything reads it, and no piece waits
    /// for the optimizer.
    @Test func piecesAreExchangedAsTheReversePassFinishesThem() throws {
        let c = try Self.configuration("contrastive", steps: 1), device = try Device.choose("cpu")
        device.exchangeBytes = Self.pieceBytes
        let training = try device.planning(for: Communicator(planned: 1, of: 3)) {
            try TrainingPlan(c, images: 32, side: 32, device: device)
        }
        let operations = training.plan.operations, parameters = training.program.layout.parameters
        let places = parameters.filter { !$0.isStatistic }.map { training.program.gradient(of: $0).place }
        let begins = operations.indices.filter { operations[$0].kind == .CK_KIND_begin_mean_over_ranks }
        let finishes = operations.indices.filter { operations[$0].kind == .CK_KIND_finish_mean_over_ranks }
        #expect(begins.count > 3)
        #expect(begins.map { operations[$0].tensors } == finishes.map { operations[$0].tensors })
        // Each piece begins where a gradient does, and goes on to where the next one begins.
        let starts = begins.compactMap { begin in
            places.firstIndex(of: operations[begin].tensors[0]!.place)
        }
        #expect(starts.count == begins.count && starts.min() == 0)
        for (begin, start) in zip(begins, starts) {
            let end = starts.filter { $0 > start }.min() ?? places.count,
                piece = operations[begin].tensors[0]!
            #expect(piece.bytes >= Self.pieceBytes || start == 0)
            let own = Set(places[start..<end])
            let touching = operations.indices.filter { index in
                operations[index].kind != .CK_KIND_finish_mean_over_ranks && index != begin
                    && operations[index].tensors.contains { $0.map { own.contains($0.place) } ?? false }
            }
            let before = touching.last { $0 < begin }!
            #expect(before == begin - 1 || begins.contains(begin - 1))
            #expect(touching.allSatisfy { $0 < begin || $0 > finishes.last! })
        }
        // The first layers' piece comes last, and half of the reverse pass is behind the first.
        #expect(starts.last == 0)
        #expect(begins.last! - begins.first! > operations.count / 4)
    }

    /// The communicator of threads says so where what is on its way is touched, such as by a tensor in its place.
    @Test(arguments: ["contrastive", "rotation"], [2, 3])
    func piecesGiveTheBitsOfTheWhole(_ method: String, _ ranks: Int) throws {
        let c = try Self.configuration(method, steps: 3)
        func trained(_ bytes: Int) throws -> [Trained] {
            try Self.shared(c, ranks: ranks) {
                let device = try Device.choose("cpu")
                device.exchangeBytes = bytes
                return device
            }
        }
        #expect(try trained(Self.pieceBytes) == trained(.max))
    }

    /// Trains on emulated GPUs whose exchanges come early, or with an even seed late.
    private static func emulated(
        _ c: RunConfiguration, bytes: Int, seed: UInt64
    ) throws -> [(trained: Trained, counts: ck_emulation_counts)] {
        try ThreadRanks.run(2) { communicator in
            var emulation = ck_emulation_default
            emulation.seed = seed
            ck_emulation_set(&emulation)
            let device = try Device.cuda(0, driver: ck_emulated_driver())
            device.exchangeBytes = bytes
            try device.join(communicator)
            ck_emulation_reset_counts()
            let trained = try train(c, device)
            return (trained, ck_emulation_count())
        }
    }

    /// On a GPU they go on beside the kernels, on a stream of their own, in the graph too.
    @Test(arguments: [1, 2] as [UInt64])
    func piecesAreExchangedBesideTheKernels(_ seed: UInt64) throws {
        let c = try Self.configuration("contrastive", steps: 4)
        let whole = try Self.emulated(c, bytes: .max, seed: seed)
        let pieces = try Self.emulated(c, bytes: Self.pieceBytes, seed: seed)
        for (one, other) in zip(whole, pieces) {
            #expect(one.trained == other.trained)
            #expect(one.counts.exchanges_beside == 0)
            #expect(other.counts.exchanges_beside > 6)
            #expect(other.counts.launches_beside > 20)
            #expect(other.counts.graph_launches == 3)
        }
    }

    /// Dense layers after three steps on emulated GPUs, which exchange nothing but pieces of gradients.
    private static func layers(
        bytes: Int, seed: UInt64, bug: Int32 = 0
    ) throws -> [(weights: [Float], notCaptured: String?)] {
        try ThreadRanks.run(2) { communicator in
            var emulation = ck_emulation_default
            (emulation.seed, emulation.drop_waits) = (seed, bug)
            ck_emulation_set(&emulation)
            let device = try Device.cuda(0, driver: ck_emulated_driver())
            device.exchangeBytes = bytes
            try device.join(communicator)
            let program = Program(device: device, math: .strict), rank = communicator.rank
            let share = BatchShare(rank: rank, of: 2, rows: 4, normalizesTogether: true) { 4 * rank + $0 }
            let (plan, (x, target)) = try program.add("train", .training, share: share) { plan in
                let x = try plan.input("x", [4, 16], type: .float32)
                let target = try plan.input("target", [4, 16], type: .float32)
                var y = x
                for layer in 0..<4 { y = try Dense("layer \(layer)", units: 16, bias: true)(y, in: plan) }
                try plan.differentiate(try meanSquaredError(y, target: target, in: plan))
                try averageOverRanks(plan.allParameters.gradients, in: plan)
                try Optimizer().append(to: plan)
                return (x, target)
            }
            try program.load()
            try program.initializeParameters(seed: 3)
            var random = TestRandom(UInt64(7 + rank))
            try program.write(random.normals(64), to: x)
            try program.write(random.normals(64), to: target)
            for step in 0..<3 {
                try program.setStep(seed: 1, step: step, learningRate: 0.1)
                try plan.run()
            }
            let weights = try program.layout.parameters.flatMap { try program.read($0.tensor) }
            return (weights, plan.notCaptured)
        }
    }

    /// Without the events between the streams it goes wrong, and the emulation shows it: where the exchange does not wait
    /// for the gradients, by exchanges that come early, and where the optimizer does not wait for it, by late ones.
    @Test func streamsWaitForEachOther() throws {
        let right = try Self.layers(bytes: .max, seed: 1)
        #expect(right[0].weights == right[1].weights)
        for seed in [1, 2] as [UInt64] {
            for rank in try Self.layers(bytes: 1 << 10, seed: seed) {
                #expect(rank.weights == right[0].weights && rank.notCaptured == nil)
            }
        }
        for (seed, bug) in [(1, 1), (2, 2)] as [(UInt64, Int32)] {
            for rank in try Self.layers(bytes: 1 << 10, seed: seed, bug: bug) {
                #expect(rank.weights != right[0].weights)
                #expect(rank.notCaptured != nil)
            }
        }
    }

    // MARK: What exchanges cost

    @Test func aStepIsForetoldWithWhatItHides() throws {
        let c = try Self.configuration("contrastive", steps: 1), device = try Device.choose("cpu")
        device.exchangeBytes = Self.pieceBytes
        let plan = try device.planning(for: Communicator(planned: 0, of: 2)) {
            try TrainingPlan(c, images: 32, side: 32, device: device).plan
        }
        let seconds = plan.operations.map { _ in 0.001 }
        let network = ExchangeModel(bandwidth: 1e9, latency: 1e-5)
        let exchanges = plan.operations.compactMap(ExchangeModel.exchange).map(network.seconds)
        let others = plan.operations.filter {
            ExchangeModel.exchange(of: $0) == nil && $0.kind != .CK_KIND_finish_mean_over_ranks
        }
        let computing = 0.001 * Double(others.count), all = exchanges.reduce(0, +)
        let byTurns = network.seconds(of: plan, computing: seconds, isBeside: false)
        #expect(abs(byTurns - computing - all) < 1e-9)
        // Whole are those that are not begun, and of these the last, behind which there is next to nothing.
        let begun = plan.operations.filter { $0.kind == .CK_KIND_begin_mean_over_ranks }
            .compactMap(ExchangeModel.exchange).map(network.seconds)
        let beside = network.seconds(of: plan, computing: seconds, isBeside: true)
        #expect(abs(beside - computing - (all - begun.reduce(0, +)) - begun.last!) < 0.0011)
        #expect(beside < byTurns)
        // On a network that is slower than the computation all but the first of it is waited for.
        let slow = ExchangeModel(bandwidth: 1e4, latency: 0)
        let total = plan.operations.compactMap(ExchangeModel.exchange).map(slow.seconds).reduce(0, +)
        #expect(slow.seconds(of: plan, computing: seconds, isBeside: true) > total)
    }

    @Test func aNetworkIsMeasuredByItsRanks() throws {
        for network in try ThreadRanks.run(2, { try ExchangeModel.measured($0, repetitions: 3) }) {
            #expect(network.bandwidth > 1e6 && network.bandwidth.isFinite)
            #expect((0..<1).contains(network.latency))
        }
    }

    // MARK: Batches in parts

    /// Network and loss without batch normalization over rows would be equal; with it, a batch in parts is the batch
    /// that ranks with statistics of their own would have.
    @Test(arguments: [ContrastiveForm.crossView, .symmetric], [1, 2])
    func aBatchInPartsIsThatOfRanksWithTheirOwnStatistics(_ form: ContrastiveForm, _ ranks: Int) throws {
        var c = try Self.configuration("contrastive", steps: 2)
        var method = Contrastive()
        method.form = form
        (c.method, c.batchNorm) = (method, .local)
        let apart = try Self.shared(c, ranks: 4) { try .choose("cpu") }
        c.microBatch = 3
        let inParts = try Self.shared(c, ranks: ranks) { try .choose("cpu") }
        #expect(
            Self.close(inParts[0].losses, apart[0].losses, 1e-5), "\(inParts[0].losses) \(apart[0].losses)")
        #expect(
            abs(inParts[0].norms[0] / apart[0].norms[0] - 1) < 1e-4, "\(inParts[0].norms) \(apart[0].norms)")
        #expect(Self.close(inParts[0].weights, apart[0].weights, 1e-5))
        for rank in inParts { #expect(rank.weights == inParts[0].weights) }
    }

    @Test func onePartIsTheWholeBatch() throws {
        var c = try Self.configuration("da-contrastive", steps: 2)
        let whole = try Self.train(c, .choose("cpu"))
        c.microBatch = 12
        #expect(try Self.train(c, .choose("cpu")) == whole)
    }

    @Test func partsRunOnTheEmulatedGPU() throws {
        var c = try Self.configuration("contrastive", steps: 3)
        c.microBatch = 4
        let cpu = try Self.train(c, .choose("cpu"))
        let gpu = try Self.train(c, .cuda(0, driver: ck_emulated_driver()))
        #expect(Self.close(gpu.losses, cpu.losses, 1e-3), "\(gpu.losses) \(cpu.losses)")
        #expect(Self.close(gpu.weights, cpu.weights, 1e-4))
    }

    /// The plan of a part takes the memory of a part.
    @Test func partsTakeLessMemory() throws {
        var c = try Self.configuration("contrastive", steps: 1)
        func memory(_ batch: Int, _ part: Int?) throws -> Int {
            (c.batch, c.microBatch) = (batch, part)
            let plan = try TrainingPlan(c, images: 200, side: 32, device: try .choose("cpu"))
            return try plan.program.memoryNeeded().transient
        }
        let whole = try memory(256, nil), parts = try memory(256, 16), small = try memory(16, nil)
        #expect(parts < whole / 8)
        #expect(parts < 2 * small)
    }

    @Test(arguments: [("contrastive", 5), ("rotation", 4)])
    func partsThatDoNotFitAreRefused(_ method: String, _ part: Int) throws {
        var c = try Self.configuration(method, steps: 1)
        c.microBatch = part
        #expect(throws: OCCError.self) { try Self.train(c, .choose("cpu")) }
    }
}
