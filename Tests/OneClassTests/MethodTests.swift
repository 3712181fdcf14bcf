import OCCEngine
import OneClass
import TestSupport
import Testing

@Suite struct MethodTests {
    @Test func samplerShowsEverythingOnceAnEpoch() {
        var sampler = BatchSampler(items: 103, batch: 10, seed: 3)
        let epoch = (0..<10).flatMap { sampler.indices(step: $0) }
        #expect(Set(epoch).count == 100)
        let next = (10..<20).flatMap { sampler.indices(step: $0) }
        #expect(Set(next).count == 100)
        #expect(epoch != next)
        // Any step can be named without those before it.
        var other = BatchSampler(items: 103, batch: 10, seed: 3)
        #expect(other.indices(step: 17) == Array(next[70..<80]))
        var reseeded = BatchSampler(items: 103, batch: 10, seed: 4)
        #expect(reseeded.indices(step: 0) != Array(epoch[0..<10]))
    }

    @Test func samplerFillsBatchesFromSmallSets() {
        var sampler = BatchSampler(items: 3, batch: 8, seed: 1)
        let rows = (0..<3).flatMap { sampler.indices(step: $0) }
        for item in 0..<3 { #expect(rows.count { $0 == item } == 8) }
    }

    @Test func rotationLabelsAreRotations() throws {
        let method = RotationPrediction()
        #expect(method.copies == 4)
        for copy in 0..<4 {
            #expect(method.view(item: 9, copy: copy) == BatchRow(image: 9, label: copy, inputs: [2 * copy]))
        }
        var rows: Set<Int> = []
        for index in 0..<5 {
            for copy in 0..<4 { rows.insert(method.row(index: index, copy: copy, batch: 5)) }
        }
        #expect(rows == Set(0..<20))
    }

    /// Distribution augmentation: each transformed copy is an instance of its own, both of whose views are
    /// alike.
    @Test func distributionAugmentationUnitesTransforms() throws {
        var method = Contrastive.distributionAugmented
        #expect(method.itemCount(images: 10) == 40)
        for item in 0..<4 {
            #expect(method.view(item: item, copy: 0) == BatchRow(image: 0, inputs: [2 * item]))
            #expect(method.view(item: item, copy: 1) == BatchRow(image: 0, inputs: [2 * item]))
        }
        // Row i and row i + batch are the two views of one instance.
        #expect(method.row(index: 3, copy: 0, batch: 8) == 3)
        #expect(method.row(index: 3, copy: 1, batch: 8) == 11)
        for (name, expected) in [
            ("hflip", [0, 1]), ("vflip", [0, 5]), ("3", [0, 1, 2]), ("8", Array(0..<8)),
        ] {
            method.distributionAugmentation = name
            #expect(method.symmetries == expected)
        }
        #expect(Contrastive().itemCount(images: 10) == 10)
    }

    /// The two scores of the rotation classifier (util/train.py of Sohn et al., `logit` and `dscore`), by hand: 1 - p(0 | x),
    /// and 1 less the product of the right class's probabilities under the four rotations.
    @Test func rotationScoresAreTheirFormulas() {
        // By rotation: what an image that is told with ease gives, and one that is not.
        let p = TransformationProbabilities(
            images: 2, classes: 4,
            values: [
                [0.9, 0.05, 0.03, 0.02, 0.25, 0.25, 0.25, 0.25], [0.1, 0.8, 0.05, 0.05, 0.4, 0.1, 0.3, 0.2],
                [0.1, 0.1, 0.75, 0.05, 0.5, 0.0, 0.5, 0.0], [0.2, 0.1, 0.1, 0.6, 0.3, 0.3, 0.3, 0.1],
            ])
        let scores = RotationPrediction().transformationScores(p, state: DetectorState())
        let upright = [1 - 0.9, 1 - 0.25], product = [1 - 0.9 * 0.8 * 0.75 * 0.6, 1 - 0.25 * 0.1 * 0.5 * 0.1]
        #expect(Set(scores.keys) == ["upright", "product"])
        for (name, expected) in [("upright", upright), ("product", product)] {
            for (got, want) in zip(scores[name] ?? [], expected) {
                #expect(abs(got - want) < 1e-7, "\(name)")
            }
            #expect(scores[name]?.count == 2)
        }
        // A class that is ruled out makes the second score 1.
        let never = TransformationProbabilities(
            images: 1, classes: 4, values: [[1, 0, 0, 0], [0, 1, 0, 0], [1, 0, 0, 0], [0, 0, 0, 1]])
        #expect(RotationPrediction().transformationScores(never, state: DetectorState())["product"] == [1])
    }

    /// 72 different transformations, the first none; each image under each is an item of its own.
    @Test func geometricTransformationsAreSeventyTwo() throws {
        let method = GeometricTransformations()
        #expect(Set(method.transformations).count == 72)
        #expect(method.transformations[0] == [0, 0, 0, 0])
        #expect(method.itemCount(images: 10) == 720)
        #expect(method.view(item: 75, copy: 0).image == 1)
        #expect(method.view(item: 75, copy: 0).label == 3)
        #expect(method.view(item: 75, copy: 0).inputs == method.transformations[3])
    }

    /// Images like those the concentrations were fitted on score lower than such that the classifier is unsure of.
    @Test func geometricScoresTellSureFromUnsure() throws {
        let method = GeometricTransformations()
        var random = TestRandom(3)
        /// Probabilities with so much on the right class.
        func probabilities(_ images: Int, right: Float) -> TransformationProbabilities {
            let values = (0..<72).map { label -> [Float] in
                (0..<images).flatMap { _ in
                    let noise = random.uniforms(72).map { $0 + 0.1 }, sum = noise.reduce(0, +)
                    return noise.enumerated().map {
                        (1 - right) * $0.element / sum + ($0.offset == label ? right : 0)
                    }
                }
            }
            return TransformationProbabilities(images: images, classes: 72, values: values)
        }
        let state = try method.fitScores(probabilities(30, right: 0.9))
        let sure = try method.transformationScores(probabilities(8, right: 0.9), state: state)
        let unsure = try method.transformationScores(probabilities(8, right: 0.3), state: state)
        for name in ["simple", "dirichlet"] {
            let (low, high) = (try #require(sure[name]), try #require(unsure[name]))
            #expect(low.max()! < high.min()!, "\(name)")
        }
        var damaged = state
        damaged.set("alpha", [1, 2], shape: [2])
        #expect(throws: OCCError.self) {
            try method.transformationScores(probabilities(1, right: 0.5), state: damaged)
        }
    }

    private func features(_ rows: Int, _ make: (Int, inout TestRandom) -> [Float]) -> [Float] {
        var random = TestRandom(1)
        return (0..<rows).flatMap { make($0, &random) }
    }

    /// The definitions, in double precision.
    private func defined(_ features: [Float], rows: Int) -> (spread: Double, rank: Double) {
        let columns = features.count / rows
        var x = (0..<rows).map { row in
            let values = features[row * columns..<(row + 1) * columns].map(Double.init)
            let norm = values.reduce(0) { $0 + $1 * $1 }.squareRoot()
            return values.map { $0 / norm }
        }
        for column in 0..<columns {
            let mean = x.reduce(0) { $0 + $1[column] } / Double(rows)
            for row in 0..<rows { x[row][column] -= mean }
        }
        var trace = 0.0, squares = 0.0
        for i in 0..<rows {
            for j in 0..<rows {
                let dot = zip(x[i], x[j]).reduce(0) { $0 + $1.0 * $1.1 }
                if i == j { trace += dot }
                squares += dot * dot
            }
        }
        return ((trace / Double(rows)).squareRoot(), trace * trace / squares)
    }

    /// Sizes that are no multiples of the blocks, and batches of which only some rows are looked at.
    @Test(arguments: [(2, 3), (5, 4), (31, 18), (64, 33), (256, 8)])
    func readingsAreAsDefined(_ rows: Int, _ columns: Int) {
        let all = features(rows) { _, random in random.normals(columns).map { 3 * $0 + 1 } }
        let reading = CollapseMonitor.reading(features: all, rows: rows, gradientNorm: 1)
        let expected = defined(all, rows: rows)
        #expect(abs(reading.spread - expected.spread) < 1e-6)
        #expect(abs(reading.effectiveRank / expected.rank - 1) < 1e-5)
        // Every row three times: the evenly chosen ones are the rows themselves.
        var thrice: [Float] = []
        for row in 0..<rows {
            let own = all[row * columns..<(row + 1) * columns]
            for _ in 0..<3 { thrice += own }
        }
        let larger = CollapseMonitor.reading(features: thrice, rows: rows * 3, gradientNorm: 1)
        #expect(abs(larger.spread - expected.spread) < 1e-6)
        #expect(abs(larger.effectiveRank / expected.rank - 1) < 1e-5)
    }

    @Test func collapseIsSeen() {
        let spread = features(32) { _, random in random.normals(16) }
        let healthy = CollapseMonitor.reading(features: spread, rows: 32, gradientNorm: 1)
        #expect(healthy.spread > 0.8)
        #expect(healthy.effectiveRank > 8)
        let point = features(32) { _, _ in [1, 2, 3, 4] }
        let collapsed = CollapseMonitor.reading(features: point, rows: 32, gradientNorm: 1)
        #expect(collapsed.spread < 1e-6)
        let line = features(32) { row, _ in row % 2 == 0 ? [1, 2, 3] : [3, -1, 0] }
        let flat = CollapseMonitor.reading(features: line, rows: 32, gradientNorm: 1)
        #expect(abs(flat.effectiveRank - 1) < 1e-6)

        var monitor = CollapseMonitor()
        #expect(monitor.check(collapsed) == nil)
        #expect(monitor.check(collapsed) == nil)
        #expect(monitor.check(healthy) == nil)
        #expect(monitor.check(collapsed) == nil)
        #expect(monitor.check(collapsed) == nil)
        #expect(monitor.check(collapsed)?.contains("one point") == true)
        monitor = CollapseMonitor()
        #expect((0..<3).compactMap { _ in monitor.check(flat) }.first?.contains("line") == true)
        monitor = CollapseMonitor()
        let still = CollapseMonitor.Reading(spread: 0.5, effectiveRank: 5, gradientNorm: 0)
        #expect((0..<3).compactMap { _ in monitor.check(still) }.first?.contains("gradient") == true)
        monitor = CollapseMonitor()
        let broken = CollapseMonitor.Reading(spread: .nan, effectiveRank: 5, gradientNorm: 1)
        #expect((0..<3).compactMap { _ in monitor.check(broken) }.first != nil)
    }
}
