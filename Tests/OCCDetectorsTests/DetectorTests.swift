import Foundation
import OCCDetectors
import OCCEngine
import TestSupport
import Testing

@Suite struct DetectorTests {
    private static func data(_ rows: Int, _ columns: Int, seed: UInt64, shift: Double = 0.7) -> FeatureMatrix
    {
        var random = TestRandom(seed)
        return FeatureMatrix(
            rows: rows, columns: columns, values: random.normals(rows * columns, shift: shift))
    }

    /// The detector of a name; a flow that is trained for a few steps only, which is all that these tests need.
    private static func entry(_ name: String) throws -> any Detector {
        var kind = try Detectors.registry.entry(name)
        if kind is FlowDensity { #expect(try kind.set(name: "flow-steps", text: "20")) }
        return kind
    }

    @Test(arguments: Detectors.registry.names)
    func gradientAgreesWithFiniteDifferences(_ kind: String) throws {
        let detector = try Self.entry(kind).fit(Self.data(60, 6, seed: 1)),
            queries = Self.data(4, 6, seed: 2)
        let gradient = try detector.scoreGradient(queries)
        for row in 0..<queries.rows {
            let point = queries.values[row * 6..<(row + 1) * 6].map(Double.init)
            // Scores of single-precision features: a step that their rounding does not drown.
            let step = 1e-2
            let slopes = try point.indices.map { column in
                // Fourth order: the truncation stays below the rounding.
                let scores = try [-2.0, -1, 1, 2].map { factor in
                    var moved = point
                    moved[column] += factor * step
                    return try detector.scores(
                        FeatureMatrix(rows: 1, columns: 6, values: moved.map(Float.init)))[0]
                }
                return (scores[0] - 8 * scores[1] + 8 * scores[2] - scores[3]) / (12 * step)
            }
            let got = gradient.values[row * 6..<(row + 1) * 6].map(Double.init)
            let failure = difference(got, slopes, tolerance: 1e-5)
            #expect(failure == nil, "\(kind), row \(row): \(failure ?? "")")
        }
    }

    /// Black parts of images have no features, or what rounding leaves of them: that is no direction.
    @Test(arguments: ["kde", "gaussian", "ocsvm-rbf", "svdd", "knn"])
    func whatRoundingLeavesIsNothing(_ name: String) throws {
        let some = Self.data(30, 5, seed: 3)
        let rows = FeatureMatrix(
            rows: 34, columns: 5, values: some.values + [Float](repeating: 0, count: 4 * 5))
        let detector = try Self.entry(name).fit(rows)
        let queries = FeatureMatrix(
            rows: 3, columns: 5,
            values: [0, 0, 0, 0, 0, 1e-8, -3e-9, 0, 2e-8, 1e-8, 0, 0, 0, 0, 1e-7])
        let scores = try detector.scores(queries)
        #expect(scores[1] == scores[0] && scores[2] == scores[0])
        #expect(try detector.scoreGradient(queries).values.allSatisfy { $0 == 0 })
        if name == "knn" {
            #expect(scores[0] == 0)
            #expect(try Self.entry(name).fit(some).scores(queries)[0] == 1)
        }
    }

    /// Features of a small scale are not taken for black: they are refused with what to do.
    @Test(arguments: ["kde", "gaussian", "ocsvm-rbf", "svdd", "knn"])
    func featuresOfASmallScaleAreRefused(_ name: String) throws {
        var rows = Self.data(30, 5, seed: 3)
        for index in rows.values.indices { rows.values[index] *= 1e-7 }
        let small = rows
        let error = #expect(throws: OCCError.self) { try Self.entry(name).fit(small) }
        #expect(error?.message.contains("30 of 30 rows") == true && error?.remedy != nil)
    }

    /// Neighbors are those of a plain search, also where features lie far from zero and hardly vary.
    @Test func nearestByMahalanobisAreThoseOfAPlainSearch() throws {
        var rows = Self.data(60, 6, seed: 3), queries = Self.data(20, 6, seed: 4)
        for index in rows.values.indices where index % 6 == 2 {
            rows.values[index] = 50 + rows.values[index] / 64
        }
        for index in queries.values.indices where index % 6 == 2 {
            queries.values[index] = 50 + queries.values[index] / 64
        }
        let detector = try MahalanobisNearestNeighbors(neighbors: 4).fit(rows)
        let known = try detector.state.matrix("support")
        let whitening = Whitening(
            mean: try detector.state.array("mean").values,
            cholesky: try detector.state.array("cholesky").values)
        let seen = try whitening(queries)
        let expected = (0..<20).map { query in
            let distances = (0..<60).map { row in
                (0..<6).reduce(0.0) { sum, column in
                    let difference =
                        Double(seen.values[query * 6 + column]) - Double(known.values[row * 6 + column])
                    return sum + difference * difference
                }.squareRoot()
            }
            return distances.sorted().prefix(4).reduce(0, +) / 4
        }
        let failure = difference(try detector.scores(queries), expected, tolerance: 1e-12)
        #expect(failure == nil, "\(failure ?? "")")
        // What is too far for single precision has no neighbors: an error, and nothing read that is not there.
        let far = FeatureMatrix(rows: 1, columns: 6, values: [1e38, -1e38, 1e38, 1e38, 1, 1e38])
        #expect(throws: OCCError.self) { try detector.scores(far) }
        #expect(throws: OCCError.self) { try detector.scoreGradient(far) }
        // Of rows that are one, none is far from another.
        let one = FeatureMatrix(rows: 3, columns: 2, values: [1, 2, 1, 2, 1, 2])
        #expect(try MahalanobisNearestNeighbors().fit(one).scores(one) == [0, 0, 0])
    }

    /// With all multipliers at their bound nothing is left to solve: there is no row inside.
    @Test(arguments: ["ocsvm-rbf", "ocsvm-linear", "svdd"])
    func allRowsMayLieOutside(_ name: String) throws {
        var kind = try Self.entry(name)
        #expect(try kind.set(name: "nu", text: "1"))
        let rows = Self.data(30, 5, seed: 3), queries = Self.data(20, 5, seed: 4)
        let detector = try kind.fit(rows), state = detector.state
        #expect(try state.array("multipliers").values == [Double](repeating: 1, count: 30))
        #expect(try state.number("gap") == 0)
        #expect(try kind.restore(state).scores(queries) == detector.scores(queries))
        guard name != "svdd" else { return }
        // Only the most similar row does not lie outside: it is on the boundary.
        let least = try detector.scores(rows).min() ?? .nan, rho = try state.number("rho")
        #expect(abs(rho + least) < 1e-5 * abs(least))
    }

    /// The ends of the settings' ranges give models that score.
    @Test(arguments: [
        ("kde", "gamma", "1e6"), ("kde", "gamma", "1e-6"), ("ocsvm-rbf", "gamma", "1e6"),
        ("ocsvm-rbf", "gamma", "1e-6"), ("svdd", "gamma", "1e6"), ("svdd", "nu", "0.0001"),
        ("ocsvm-rbf", "nu", "0.0001"), ("ocsvm-linear", "nu", "0.0001"), ("gaussian", "ridge", "1000"),
        ("gaussian", "shrinkage", "1"), ("gaussian", "shrinkage", "-1"), ("knn", "neighbors", "50"),
        ("knn-mahalanobis", "neighbors", "50"),
        ("ocsvm-rbf", "tolerance", "1"), ("svdd", "tolerance", "1e-9"), ("flow", "flow-layers", "1"),
        ("flow", "flow-layers", "64"), ("flow", "flow-width", "1"), ("flow", "flow-noise", "10"),
        ("flow", "flow-noise", "0"), ("flow", "flow-rate", "1e-9"), ("flow", "flow-steps", "1"),
    ])
    func endsOfRangesScore(_ name: String, _ setting: String, _ value: String) throws {
        var kind = try Self.entry(name)
        #expect(try kind.set(name: setting, text: value))
        let detector = try kind.fit(Self.data(50, 5, seed: 3)), queries = Self.data(20, 5, seed: 4)
        let scores = try detector.scores(queries)
        #expect(scores.allSatisfy { $0.isFinite })
        #expect(try kind.restore(detector.state).scores(queries) == scores)
        #expect(try detector.scoreGradient(queries).values.allSatisfy { $0.isFinite })
    }

    @Test(arguments: Detectors.registry.names)
    func stateSurvivesARoundTrip(_ name: String) throws {
        let kind = try Self.entry(name)
        let detector = try kind.fit(Self.data(50, 5, seed: 3)), queries = Self.data(20, 5, seed: 4)
        let restored = try kind.restore(detector.state)
        #expect(try restored.scores(queries) == detector.scores(queries))
        #expect(restored.state == detector.state)
    }

    @Test(arguments: Detectors.registry.names)
    func damagedStateIsAnError(_ name: String) throws {
        let kind = try Self.entry(name)
        let state = try kind.fit(Self.data(50, 5, seed: 3)).state
        for name in state.arrays.keys {
            var damaged = state
            damaged.arrays[name] = nil
            #expect(throws: OCCError.self) { try kind.restore(damaged) }
            damaged = state
            damaged.set(name, [1, 2, 3], shape: [2, 2])
            #expect(throws: OCCError.self) { try kind.restore(damaged) }
        }
        for name in state.numbers.keys where !["iterations", "objective", "gap"].contains(name) {
            var damaged = state
            damaged.numbers[name] = nil
            #expect(throws: OCCError.self) { try kind.restore(damaged) }
        }
    }

    @Test(arguments: Detectors.registry.names)
    func badFeaturesAreErrors(_ name: String) throws {
        let kind = try Self.entry(name)
        var broken = Self.data(20, 4, seed: 5)
        broken.values[7] = .nan
        #expect(throws: OCCError.self) { try kind.fit(broken) }
        #expect(throws: OCCError.self) { try kind.fit(Self.data(1, 4, seed: 5)) }
        let detector = try kind.fit(Self.data(20, 4, seed: 5))
        #expect(throws: OCCError.self) { try detector.scores(Self.data(3, 5, seed: 6)) }
        broken.values[7] = .infinity
        #expect(throws: OCCError.self) { try detector.scores(broken) }
    }

    @Test func aCollapsedEncoderIsNamed() throws {
        let same = FeatureMatrix(rows: 10, columns: 3, values: [Float](repeating: 0.5, count: 30))
        let error = #expect(throws: OCCError.self) { try KernelDensity().fit(same) }
        #expect(error?.message.contains("collapsed") == true)
    }

    /// A row's score has the same bits alone, among others, and wherever it stands among them; with sizes
    /// beyond one tile of queries and of training rows.
    @Test(arguments: Detectors.registry.names, [9, 67])
    func companyDoesNotShow(_ name: String, _ columns: Int) throws {
        let detector = try Self.entry(name).fit(Self.data(1500, columns, seed: 7)),
            queries = Self.data(300, columns, seed: 8)
        let together = try detector.scores(queries)
        for row in [0, 1, 63, 64, 127, 128, 255, 256, 299] {
            #expect(try detector.scores(queries.subset([row])) == [together[row]], "row \(row)")
        }
        for first in [1, 5, 64, 131] {
            #expect(
                try detector.scores(queries.subset(first..<300)) == Array(together[first...]), "from \(first)"
            )
        }
    }

    /// Means of the members, and a state that gives them back.
    @Test(arguments: Detectors.registry.names)
    func ensemblesAverage(_ name: String) throws {
        let kind = try Self.entry(name), data = Self.data(61, 5, seed: 3),
            queries = Self.data(20, 5, seed: 4)
        let folds = DetectorEnsemble.folds(4, of: 61, seed: 1)
        #expect((0..<4).map { fold in folds.count { $0 == fold } }.sorted() == [15, 15, 15, 16])
        let ensemble = try DetectorEnsemble(fitting: data, folds: folds, count: 4) { try kind.fit($0) }
        let parts = try (0..<4).map { fold in
            try kind.fit(data.subset(folds.indices.filter { folds[$0] != fold })).scores(queries)
        }
        let scores = try ensemble.scores(queries)
        for row in 0..<20 {
            let mean = parts.reduce(0) { $0 + $1[row] } / 4
            #expect(abs(scores[row] - mean) <= 1e-12 * abs(mean))
        }
        let restored = try DetectorEnsemble(state: ensemble.state, count: 4) { try kind.restore($0) }
        #expect(try restored.scores(queries) == scores)
        #expect(restored.state == ensemble.state)
        #expect(throws: OCCError.self) {
            try DetectorEnsemble(state: ensemble.state, count: 5) { try kind.restore($0) }
        }
        let gradient = try ensemble.scoreGradient(queries).values
        let gradients = try ensemble.members.map { try $0.scoreGradient(queries).values }
        for index in gradient.indices {
            let mean = gradients.reduce(0) { $0 + Double($1[index]) } / 4
            #expect(abs(Double(gradient[index]) - mean) <= 1e-6 * max(1, abs(mean)))
        }
    }

    /// The seed makes the flow, and another seed another one.
    @Test func flowsFollowTheirSeed() throws {
        let train = Self.data(60, 3, seed: 21), queries = Self.data(20, 3, seed: 22)
        var kind = FlowDensity()
        kind.steps = 20
        let scores = try kind.fit(train).scores(queries)
        #expect(try kind.fit(train).scores(queries) == scores)
        kind.seed = 2
        #expect(try kind.fit(train).scores(queries) != scores)
    }

    /// Without noise in training, few rows are learned by heart: their own scores say nothing of new ones.
    @Test func noiseKeepsFlowsFromLearningByHeart() throws {
        let train = Self.data(100, 8, seed: 24), queries = Self.data(100, 8, seed: 25)
        func gap(_ noise: Double) throws -> Double {
            var kind = FlowDensity()
            kind.noise = noise
            let flow = try kind.fit(train)
            return try (flow.scores(queries).reduce(0, +) - flow.scores(train).reduce(0, +)) / 100
        }
        let (with, without) = (try gap(0.3), try gap(0))
        #expect(with < without / 2, "\(with), without noise \(without)")
    }

    /// A density: its integral over a plane is one. One that is trained on a ring is low in the middle of it, where a
    /// Gaussian is highest.
    @Test func flowsAreDensities() throws {
        var random = TestRandom(23)
        let angles = random.uniforms(2000).map { 2 * Float.pi * $0 }, gaps = random.normals(2000, scale: 0.1)
        let ring = zip(angles, gaps).flatMap { angle, gap in [(2 + gap) * cos(angle), (2 + gap) * sin(angle)]
        }
        var kind = FlowDensity()
        (kind.noise, kind.steps, kind.rate) = (0.1, 600, 0.01)
        let flow = try kind.fit(FeatureMatrix(rows: 2000, columns: 2, values: ring))
        let places = (-40...40).map { Float($0) * 0.125 }
        let plane = FeatureMatrix(
            rows: places.count * places.count, columns: 2,
            values: places.flatMap { y in places.flatMap { [$0, y] } })
        let mass = try flow.scores(plane).reduce(0) { $0 + exp(-$1) } * 0.125 * 0.125
        #expect(abs(mass - 1) < 0.02, "\(mass)")
        let middle = try flow.scores(FeatureMatrix(rows: 1, columns: 2, values: [0, 0]))[0]
        let on = try flow.scores(FeatureMatrix(rows: 2, columns: 2, values: [2, 0, 0, -2])).max()!
        #expect(middle > on + 1, "\(middle), on the ring \(on)")
    }

    /// SVDD by its definition: with k(x, x) = 1 its sphere is the OC-SVM's half space.
    @Test func svddRanksAsTheOneClassSVM() throws {
        let train = Self.data(80, 5, seed: 9), queries = Self.data(30, 5, seed: 10, shift: 0)
        let svdd = try SupportVectorDataDescription().fit(train).scores(queries)
        let svm = try OneClassSVM(kernel: .rbf).fit(train).scores(queries)
        let pairs = zip(svdd, svm).sorted { $0.0 < $1.0 }
        for (a, b) in zip(pairs, pairs.dropFirst()) { #expect(a.1 <= b.1 + 1e-9) }
    }

    @Test func outliersScoreHigher() throws {
        let train = Self.data(200, 8, seed: 11, shift: 2), normal = Self.data(50, 8, seed: 12, shift: 2)
        let outlying = Self.data(50, 8, seed: 13, shift: -2)
        for kind in Detectors.registry.entries where kind.name != "ocsvm-linear" {
            let detector = try kind.fit(train)
            let scores = try detector.scores(normal) + detector.scores(outlying)
            let labels = [Int](repeating: 0, count: 50) + [Int](repeating: 1, count: 50)
            #expect(try RankingMetrics(scores: scores, labels: labels).auroc > 0.99, "\(kind.name)")
        }
    }

    @Test func oneClassRankingsAreErrors() {
        #expect(throws: OCCError.self) { try RankingMetrics(scores: [1, 2], labels: [0, 0]) }
        #expect(throws: OCCError.self) { try RankingMetrics(scores: [1, 2], labels: [1, 1]) }
        #expect(throws: OCCError.self) { try RankingMetrics(scores: [1, .nan], labels: [0, 1]) }
        #expect(throws: OCCError.self) { try RankingMetrics(scores: [], labels: []) }
        #expect(throws: OCCError.self) { try RankingMetrics(scores: [1, 2], labels: [0, 2]) }
    }
}
