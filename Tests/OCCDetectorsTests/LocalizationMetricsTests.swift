import OCCDetectors
import OCCEngine
import TestSupport
import Testing

/// Against a slow evaluation from the definitions: every threshold by itself, regions by merging labels.
@Suite struct LocalizationMetricsTests {
    private struct Slow {
        var auroc = 0.0, aupro = 0.0, bestF1 = 0.0

        init(_ maps: [[Float]], _ masks: [[UInt8]], width: Int, limit: Double) {
            let scores = maps.flatMap { $0 }, labels = masks.flatMap { $0.map { Int($0) } }
            let positives = labels.reduce(0, +), negatives = labels.count - positives
            var wins = 0.0
            for (i, a) in scores.enumerated() where labels[i] == 1 {
                for (j, b) in scores.enumerated() where labels[j] == 0 {
                    wins += a > b ? 1 : a == b ? 0.5 : 0
                }
            }
            auroc = wins / Double(positives * negatives)
            // Labels spread until nothing changes.
            var regions: [[(image: Int, pixel: Int)]] = []
            for (image, mask) in masks.enumerated() {
                let height = mask.count / width
                var label = mask.indices.map { mask[$0] == 0 ? -1 : $0 }, changed = true
                while changed {
                    changed = false
                    for p in mask.indices where label[p] >= 0 {
                        for dr in -1...1 {
                            for dc in -1...1 {
                                let r = p / width + dr, c = p % width + dc
                                guard (0..<height).contains(r), (0..<width).contains(c) else { continue }
                                let other = label[r * width + c]
                                if other > label[p] {
                                    label[p] = other
                                    changed = true
                                }
                            }
                        }
                    }
                }
                for name in Set(label) where name >= 0 {
                    regions.append(label.indices.filter { label[$0] == name }.map { (image, $0) })
                }
            }
            var curve = [(fpr: 0.0, pro: 0.0)]
            for threshold in Set(scores).sorted(by: >) {
                let caught = scores.indices.count { scores[$0] >= threshold && labels[$0] == 1 }
                let alarms = scores.indices.count { scores[$0] >= threshold && labels[$0] == 0 }
                bestF1 = max(bestF1, 2 * Double(caught) / Double(caught + alarms + positives))
                let pro =
                    regions.map { region in
                        Double(region.count { maps[$0.image][$0.pixel] >= threshold }) / Double(region.count)
                    }.reduce(0, +) / Double(regions.count)
                curve.append((Double(alarms) / Double(negatives), pro))
            }
            for (a, b) in zip(curve, curve.dropFirst()) where a.fpr < limit && b.fpr > a.fpr {
                let end = min(b.fpr, limit)
                let height = a.pro + (b.pro - a.pro) * (end - a.fpr) / (b.fpr - a.fpr)
                aupro += (end - a.fpr) * (a.pro + height) / 2
            }
            aupro /= limit
        }
    }

    @Test(arguments: 0..<12) func agreesWithDefinitions(_ seed: Int) throws {
        var random = TestRandom(UInt64(500 + seed))
        let width = 3 + seed % 5, height = 4 + seed % 3, levels = [3.0, 10, 1000][seed % 3]
        let masks = (0..<3).map { image in
            (0..<width * height).map { _ in UInt8(image > 0 && random.uniform() < 0.25 ? 1 : 0) }
        }
        // Few levels give many ties; negative scores and zeros too.
        let maps = masks.map { mask in
            mask.map { Float(((random.uniform() + 0.3 * Double($0) - 0.5) * levels).rounded() / levels) }
        }
        guard masks.contains(where: { $0.contains(1) }) else { return }
        for limit in [0.3, 1] {
            let found = try LocalizationMetrics(maps: maps, masks: masks, width: width, limit: limit)
            let slow = Slow(maps, masks, width: width, limit: limit)
            #expect(abs(found.auroc - slow.auroc) < 1e-12)
            #expect(abs(found.aupro - slow.aupro) < 1e-6)
            #expect(abs(found.bestF1 - slow.bestF1) < 1e-12)
        }
    }

    @Test func perfectMapsAndConstantOnes() throws {
        let mask: [UInt8] = [0, 0, 1, 0, 1, 1, 0, 0, 0]
        let perfect = try LocalizationMetrics(maps: [mask.map { Float($0) }], masks: [mask], width: 3)
        #expect(perfect.auroc == 1 && abs(perfect.aupro - 1) < 1e-6 && perfect.bestF1 == 1)
        #expect(perfect.regions == 1 && perfect.positives == 3)
        let constant = try LocalizationMetrics(maps: [mask.map { _ in -2 }], masks: [mask], width: 3)
        #expect(constant.auroc == 0.5)
        #expect(abs(constant.aupro - 0.15) < 1e-6)  // the diagonal up to 0.3
        #expect(constant.bestF1Threshold == -2)
    }

    @Test func oneKindOfPixelsIsAnError() {
        #expect(throws: OCCError.self) {
            try LocalizationMetrics(maps: [[1, 2]], masks: [[0, 0]], width: 2)
        }
        #expect(throws: OCCError.self) {
            try LocalizationMetrics(maps: [[1, 2]], masks: [[1, 1]], width: 2)
        }
        #expect(throws: OCCError.self) {
            try LocalizationMetrics(maps: [[1, .nan]], masks: [[1, 0]], width: 2)
        }
    }
}

@Suite struct LocationwiseDetectorTests {
    private func features(_ images: Int, _ locations: Int, _ columns: Int) -> FeatureMatrix {
        var random = TestRandom(77)
        return FeatureMatrix(
            rows: images * locations, columns: columns,
            values: random.normals(images * locations * columns, shift: 0.5))
    }

    @Test(arguments: ["gaussian", "kde", "knn"])
    func eachLocationHasItsOwn(_ name: String) throws {
        let all = features(40, 3, 5), queries = features(7, 3, 5)
        let kind = try Detectors.registry.entry(name)
        let detector = try LocationwiseDetector(kind, fitting: all, locations: 3)
        let scores = try detector.scores(queries)
        let one = try #require(kind.forEachLocation as (any Detector)?)
        for location in 0..<3 {
            let own = try one.fit(all.subset(Array(stride(from: location, to: all.rows, by: 3))))
            let rows = Array(stride(from: location, to: queries.rows, by: 3))
            #expect(try own.scores(queries.subset(rows)) == rows.map { scores[$0] })
            let gradient = try detector.scoreGradient(queries)
            #expect(try own.scoreGradient(queries.subset(rows)) == gradient.subset(rows))
        }
        let restored = try LocationwiseDetector(kind, state: detector.state, locations: 3)
        #expect(try restored.scores(queries) == scores)
        #expect(throws: OCCError.self) { try detector.scores(features(1, 2, 5)) }
        #expect(throws: OCCError.self) {
            try LocationwiseDetector(kind, state: detector.state, locations: 2)
        }
    }

    /// Of many Gaussians a score is half the squared distance, without the volume; alone it is a density.
    @Test func gaussiansOfPlacesAreCompared() throws {
        let rows = features(40, 1, 5), wide = GaussianDensity(shrinkage: -1)
        let density = try wide.fit(rows), own = try #require(wide.forEachLocation).fit(rows)
        let offsets = zip(try density.scores(rows), try own.scores(rows)).map { $0 - $1 }
        #expect(offsets.allSatisfy { abs($0 - offsets[0]) < 1e-9 } && abs(offsets[0]) > 0.01)
        #expect(try own.scores(rows).allSatisfy { $0 >= 0 })
        // The mean of the squared distances of the fitted rows is near their number of columns.
        let mean = try own.scores(rows).reduce(0, +) / Double(rows.rows)
        #expect(mean > 1.25 && mean < 3)
        for (fitted, isSame) in [(density, true), (own, false)] {
            let again = try wide.restore(fitted.state)
            #expect(try again.scores(rows) == fitted.scores(rows))
            #expect((fitted.state.numbers["distance"] == nil) == isSame)
        }
    }

    /// Fewer rows than columns: the covariance is singular, and shrinking it makes it regular.
    @Test func shrinkageMakesSmallSetsRegular() throws {
        let few = features(6, 1, 20)
        #expect(throws: OCCError.self) { try GaussianDensity(ridge: 0).fit(few) }
        let shrunk = try GaussianDensity(shrinkage: -1, ridge: 0).fit(few)
        #expect(try shrunk.scores(few).allSatisfy(\.isFinite))
    }
}
