import Foundation
import OCCData
import OCCDetectors
import OCCEngine
import OCCNetworks

/// Which pixels a score comes from.
public struct Explanation: Sendable {
    /// The side of the map in pixels.
    public let side: Int
    /// The map, side x side: what each pixel adds to the score (integrated gradients), or how much its
    /// surroundings raise it (Grad-CAM). Of a model of patches, 0 outside of the highest-scoring patch.
    public let map: [Float]
    /// The score that is explained.
    public let score: Double
    /// The score of the baseline; nil for Grad-CAM.
    public let baselineScore: Double?
    /// The points of the path; nil for Grad-CAM.
    public let steps: Int?
    /// Where the path begins; nil for Grad-CAM.
    public let baseline: Explainer.Baseline?
    /// How far the map's sum is from the difference of the two scores, as a share of it; nil for Grad-CAM.
    public let completenessError: Double?

    /// The map as pictures show it, and what the top of their scale stands for.
    public var shown: (map: [Float], top: Double) {
        // Strided layers leave the gradient on a grid of pixels: the picture shows their surroundings.
        let map =
            baselineScore == nil ? map : Overlay.smoothed(map, width: side, sigma: Double(side) / 100)
        // The brightest are the pixels that raise the score most; a few outliers may lie above.
        let rising = map.filter { $0 > 0 }.sorted()
        return (map, rising.isEmpty ? 1 : Double(rising[min(rising.count - 1, rising.count * 995 / 1000)]))
    }
}

/// Explains the scores of a model by their gradient, through the detector and the network.
public final class Explainer {
    /// What is explained.
    public enum Score: String, CaseIterable, Sendable {
        /// The detector's score on the encoder's features.
        case detector
        /// The classifier's end-to-end score: 1 - p(upright | x), or 1 - p(nothing pasted | x).
        case classifier
    }

    /// Where a path of integrated gradients begins.
    public enum Baseline: String, CaseIterable, Sendable {
        /// At a black image.
        case black
        /// At an image of one color, the mean of what is explained.
        case mean
    }

    /// The baseline where none is asked for: black, unless that says nothing. The features of a network that is as it was
    /// drawn, without biases, grow in proportion to brightness: what sees their direction alone sees nothing on a path
    /// from black. Nor has it a score where a method divides by an image's own length (`OwnScoring.scoresBlack`).
    public var usualBaseline: Baseline {
        let c = model.configuration, isDrawn = c.steps == 0 && c.weights == nil
        let own = c.detector is OwnScore && target == .detector ? c.method as? any OwnScoring : nil
        return isDrawn || own?.scoresBlack == false ? .mean : .black
    }

    /// Points of a path at least.
    private static let points = 32
    /// Rows of a batch; fewer where a detector sees the maps of whole images, which may be large.
    private let rows: Int

    private let model: OneClassModel
    private let program: Program
    private let forward: Plan, backward: Plan
    private let points: Tensor, seeds: [Tensor]
    private let features: Tensor, map: Tensor, logits: Tensor?
    /// The maps that a detector of maps sees, and how they become one; empty and nil of others.
    private let maps: [Tensor], joining: MapJoining?
    /// By the points, and, for a classifier, by the pooled features.
    private let gradient: Tensor, pooledGradient: Tensor?
    private let side: Int
    private let target: Score
    /// Whether the score is of a map's means.
    private let hasMap: Bool

    /// Builds the plans that differentiate a model's score.
    ///
    /// - Throws: `OCCError(.usage)` when the model has no classifier and its score is asked for.
    public init(_ model: OneClassModel, score target: Score = .detector) throws {
        let configuration = model.configuration, encoder = configuration.encoder
        let joining = (model.scoring.features as? MapExtractor)?.joining
        let rows =
            joining == nil ? Self.points : max(1, min(Self.points, 8 * 256 * 256 / (model.side * model.side)))
        (self.joining, self.rows) = (joining, rows)
        let head = configuration.method.classifierHead(widths: configuration.headWidths)
        guard target == .detector || head != nil else {
            throw OCCError(
                .usage, "a model of \(configuration.method.name) has no classifier",
                remedy: "Explain the detector's score.")
        }
        guard target == .detector || configuration.steps != 0 else {
            throw OCCError(
                .usage, "the model was not trained, and has no classifier",
                remedy: "Explain the detector's score, or train with --steps or --budget.")
        }
        guard target == .detector || joining == nil else {
            throw OCCError(
                .usage,
                "\(configuration.detector.name) sees maps, of which \(configuration.method.name) classifies none",
                remedy: "Explain the detector's score.")
        }
        let own = configuration.detector is OwnScore ? configuration.method as? any OwnScoring : nil
        guard own == nil || target == .classifier || own?.scoredViews == [[]] else {
            throw OCCError(
                .usage, "\(configuration.method.name) scores an image by several views, and is not explained",
                remedy: "Train with another \(setting: "detector"), such as kde.")
        }
        hasMap = own == nil || target == .classifier
        self.model = model
        self.target = target
        side = model.grid?.patch ?? model.side
        let side = side
        program = Program(device: model.device, math: configuration.math)
        // What the score is computed of, and the map whose mean is its last part.
        typealias Outputs = (x: Tensor, features: Tensor, map: Tensor, logits: Tensor?, maps: [Tensor])
        func outputs(_ plan: PlanBuilder) throws -> Outputs {
            let x = try plan.input("points", [rows, side, side, 3], type: .float32)
            plan.watch(x)
            if target == .detector, let own {
                let inputs = try RowInputTensors([], rows: rows, prefix: "points ", in: plan)
                let batch = ScoringBatch(
                    images: x, inputs: inputs, encoder: encoder, headWidths: configuration.headWidths)
                let features = try own.scoreFeatures(batch, in: plan)
                return (x, features, x, nil, [])
            }
            let output = try encoder(x, in: plan)
            if target == .classifier {
                return (x, output.pooled, output.map, try head?(output.pooled, in: plan), [])
            }
            if joining != nil {
                let maps = try output.maps(configuration.layers), last = maps[maps.count - 1]
                return (x, last, last, nil, maps)
            }
            var map = output.map
            let features = try output.features(configuration.layers, in: plan) { own, _ in
                map = own
                return try globalAveragePool(own, in: plan)
            }
            return (x, features, map, nil, [])
        }
        (forward, (points, features, map, logits, maps)) = try program.add("explain forward", .inference) {
            plan in
            let found = try outputs(plan)
            for tensor in [found.features, found.map] + (found.logits.map { [$0] } ?? []) + found.maps {
                plan.keep(tensor)
            }
            plan.leaveOutWhatIsNotKept()
            return found
        }
        (backward, (seeds, gradient, pooledGradient)) = try program.add("explain backward", .inputGradient) {
            plan in
            let (x, features, _, logits, maps) = try outputs(plan)
            let ends = maps.isEmpty ? [logits ?? features] : maps
            let seeds = try ends.enumerated().map { number, end in
                (tensor: end, seed: try plan.input("seed \(number)", end.shape, type: .float32))
            }
            let pass = try plan.differentiate(seeds)
            let gradient = pass.gradient(of: x)!,
                pooled = logits.flatMap { _ in pass.gradient(of: features) }
            plan.keep(gradient)
            if let pooled { plan.keep(pooled) }
            return (seeds.map(\.seed), gradient, pooled)
        }
        try program.load()
        let weights = Dictionary(
            uniqueKeysWithValues: try model.exportWeights().map { ($0.name, $0) })
        try program.importWeights { weights[$0] }
    }

    // MARK: Scores and their gradients

    /// Scores of so many rows of the points, and their derivatives by the features, the logits, or the map of each stage.
    private func evaluate(
        _ values: [Float], count: Int, _ detector: any OneClassClassifier, gradient wanted: Bool
    ) throws
        -> (scores: [Double], seeds: [[Float]])
    {
        try program.write(values, to: points)
        try forward.run()
        if let joining { return try evaluate(count: count, detector, joining, gradient: wanted) }
        guard let logits else {
            let all = try program.read(features, of: forward), columns = features.shape[1]
            let rows = FeatureMatrix(
                rows: count, columns: columns, values: Array(all.prefix(count * columns)))
            let scores = try DetectorFitting.requireFinite(try detector.scores(rows), model.name)
            return (scores, [wanted ? try detector.scoreGradient(rows).values : []])
        }
        let z = try program.read(logits, of: forward).map(Double.init), classes = logits.shape[1]
        var scores: [Double] = [], seeds: [Float] = []
        for row in 0..<count {
            let own = z[row * classes..<(row + 1) * classes], top = own.max()!
            let e = own.map { exp($0 - top) }, sum = e.reduce(0, +), p = e[0] / sum
            scores.append(1 - p)
            // d(1 - p0)/dz_k = p0 (p_k - [k = 0])
            seeds += e.enumerated().map { Float(p * ($1 / sum - ($0 == 0 ? 1 : 0))) }
        }
        return (try DetectorFitting.requireFinite(scores, model.name), [seeds])
    }

    /// The same of a detector of maps, once the forward plan has run.
    private func evaluate(
        count: Int, _ detector: any OneClassClassifier, _ joining: MapJoining, gradient wanted: Bool
    ) throws -> (scores: [Double], seeds: [[Float]]) {
        let found = try maps.map { (values: try program.read($0, of: forward), shape: $0.shape) }
        let joined = MapExtractor.join(found, images: count, by: joining)
        let rows = FeatureMatrix(rows: count, columns: joined.count / count, values: joined)
        let scores = try DetectorFitting.requireFinite(try detector.scores(rows), model.name)
        guard wanted else { return (scores, []) }
        let gradients = try detector.scoreGradient(rows).values
        let stages = maps.map { (rows: $0.shape[1], columns: $0.shape[2], channels: $0.shape[3]) }
        let (height, width) = (stages[0].rows, stages[0].columns)
        let channels = rows.columns / (height * width)
        let parts = parallelMap(count) { row in
            let own = Array(gradients[row * rows.columns..<(row + 1) * rows.columns])
            return joining.gradients(
                of: FeatureMap(rows: height, columns: width, channels: channels, values: own), stages: stages)
        }
        return (scores, stages.indices.map { stage in parts.flatMap { $0[stage] } })
    }

    /// Runs the reverse pass from these derivatives.
    private func differentiate(_ values: [[Float]]) throws {
        for (seed, own) in zip(seeds, values) {
            try program.write(own + [Float](repeating: 0, count: seed.count - own.count), to: seed)
        }
        try backward.run()
    }

    /// Scores of points in pixel space (count x side x side x 3, in 0...1), and their gradients.
    package func scoresAndGradients(_ values: [Float], count: Int, _ detector: any OneClassClassifier) throws
        -> (scores: [Double], gradients: [Float])
    {
        let size = side * side * 3
        let padded = values + [Float](repeating: 0, count: (rows - count) * size)
        let (scores, slopes) = try evaluate(padded, count: count, detector, gradient: true)
        try differentiate(slopes)
        return (scores, Array(try program.read(gradient, of: backward).prefix(count * size)))
    }

    private func scores(_ values: [Float], count: Int, _ detector: any OneClassClassifier) throws -> [Double]
    {
        let padded = values + [Float](repeating: 0, count: (rows - count) * side * side * 3)
        return try evaluate(padded, count: count, detector, gradient: false).scores
    }

    // MARK: Explanations

    /// A part of the path from the baseline to the image, its share of the score by the scores at its ends,
    /// and by the gradient at its middle.
    private struct Segment {
        let from: Double, until: Double
        let fromScore: Double, untilScore: Double
        var middleScore = 0.0, slope = 0.0

        var middle: Double { (from + until) / 2 }
        var width: Double { until - from }
        var error: Double { slope * width - (untilScore - fromScore) }
        var halves: [Segment] {
            [
                Segment(from: from, until: middle, fromScore: fromScore, untilScore: middleScore),
                Segment(from: middle, until: until, fromScore: middleScore, untilScore: untilScore),
            ]
        }
    }

    /// Explains by integrated gradients (Sundararajan et al., ICML 2017): the gradient averaged over a straight
    /// path from a baseline times the difference, summed over channels. The midpoint rule on
    /// segments of the path: the ones whose gradient accounts worst for the difference of the scores at their
    /// ends are halved until all together are within `tolerance` of the whole difference, so that the points
    /// gather where the network bends.
    ///
    /// - Parameters:
    ///   - limit: points of the path at most; nil for 2048, or 256 where a detector sees the maps of whole images,
    ///     each of which is as much work as many patches.
    ///   - baseline: where the path begins; nil for `usualBaseline`.
    public func integratedGradients(
        of image: RGBImage, tolerance: Double = 0.005, limit: Int? = nil, from baseline: Baseline? = nil
    ) throws -> Explanation {
        try Work.track("explaining", "points of the path") { work in
            try integratedGradients(
                of: image, tolerance, limit ?? (joining == nil ? 2048 : 256), baseline, work)
        }
    }

    /// The baseline of pixels [side, side, 3], and its score.
    ///
    /// - Throws: `OCCError(.badData)` where that is not finite.
    private func start(
        _ asked: Baseline?, of pixels: [Float], _ detector: any OneClassClassifier
    ) throws -> (baseline: Baseline, values: [Float], score: Double) {
        let baseline = asked ?? usualBaseline
        var color = [Float](repeating: 0, count: 3)
        if baseline == .mean {
            for (index, value) in pixels.enumerated() { color[index % 3] += value }
            color = color.map { $0 / Float(pixels.count / 3) }
        }
        let values = pixels.indices.map { color[$0 % 3] }
        do {
            return (baseline, values, try scores(values, count: 1, detector)[0])
        } catch let error as OCCError where error.kind == .badData {
            throw OCCError(
                .badData, "\(model.name): gives the baseline, \(baseline.rawValue), no finite score",
                remedy: "Choose the other one.")
        }
    }

    private func integratedGradients(
        of image: RGBImage, _ tolerance: Double, _ limit: Int, _ asked: Baseline?, _ work: Work
    ) throws -> Explanation {
        let (pixels, top, left, detector) = try window(of: image), size = pixels.count
        let begin = try start(asked, of: pixels, detector)
        let way = zip(pixels, begin.values).map { $0 - $1 }
        /// Calls `body` with every segment, the score at its middle and the gradient there.
        func visit(_ segments: [Segment], _ body: (Int, Double, ArraySlice<Float>) -> Void) throws {
            for first in stride(from: 0, to: segments.count, by: rows) {
                let some = segments[first..<min(first + rows, segments.count)]
                let points = some.flatMap { segment in
                    zip(begin.values, way).map { $0 + Float(segment.middle) * $1 }
                }
                let (scores, gradients) = try scoresAndGradients(points, count: some.count, detector)
                for row in 0..<some.count {
                    body(first + row, scores[row], gradients[row * size..<(row + 1) * size])
                }
                work.advance(by: some.count)
            }
        }
        func measured(_ segments: [Segment]) throws -> [Segment] {
            var result = segments
            try visit(segments) { index, score, gradient in
                result[index].middleScore = score
                result[index].slope = zip(gradient, way).reduce(0) { $0 + Double($1.0) * Double($1.1) }
            }
            return result
        }
        let score = try scores(pixels, count: 1, detector)[0], difference = score - begin.score
        var segments = try measured([
            Segment(from: 0, until: 1, fromScore: begin.score, untilScore: score)
        ])
        while segments.count < limit,
            segments.count < Self.points
                || segments.reduce(0, { $0 + abs($1.error) }) > tolerance * abs(difference)
        {
            segments.sort { abs($0.error) > abs($1.error) }
            let worst = min(segments.count, Self.points / 2)
            segments.replaceSubrange(0..<worst, with: try measured(segments[0..<worst].flatMap(\.halves)))
        }
        segments.sort { $0.from < $1.from }
        var sum = [Double](repeating: 0, count: size)
        try visit(segments) { index, _, gradient in
            let width = segments[index].width
            for (place, value) in gradient.enumerated() { sum[place] += width * Double(value) }
        }
        var own = [Float](repeating: 0, count: side * side), total = 0.0
        for index in 0..<size {
            let share = sum[index] * Double(way[index])
            own[index / 3] += Float(share)
            total += share
        }
        return Explanation(
            side: image.width, map: try placed(own, top, left, in: image.width), score: score,
            baselineScore: begin.score, steps: segments.count, baseline: begin.baseline,
            completenessError: abs(total - difference) / max(abs(difference), 1e-12))
    }

    /// Explains by Grad-CAM (Selvaraju et al., ICCV 2017) on the last map that the score is of: its channels
    /// weighted by the mean gradient of the score, negative sums cut, enlarged bilinearly.
    public func gradCAM(of image: RGBImage) throws -> Explanation {
        guard hasMap else {
            throw OCCError(
                .usage,
                "Grad-CAM is for scores of a feature map, and \(model.configuration.method.name) scores itself",
                remedy: "Explain by integrated gradients.")
        }
        let (pixels, top, left, detector) = try window(of: image)
        let padded = pixels + [Float](repeating: 0, count: (rows - 1) * pixels.count)
        let (scores, found) = try evaluate(padded, count: 1, detector, gradient: true)
        var slopes = found[found.count - 1]
        let channels = map.shape[3], cells = map.shape[1], values = try program.read(map, of: forward)
        let before = joining == nil ? features.shape[1] - channels : 0
        if let pooledGradient {
            try differentiate(found)
            slopes = try program.read(pooledGradient, of: backward)
        } else if joining != nil {
            // By a mean of the map: the sum over its pixels.
            var sums = [Float](repeating: 0, count: channels)
            for (index, slope) in slopes.enumerated() { sums[index % channels] += slope }
            slopes = sums
        }
        let weighted = (0..<cells * cells).map { cell in
            let sum = (0..<channels).reduce(Float(0)) {
                $0 + slopes[before + $1] * values[cell * channels + $1]
            }
            return max(0, sum / Float(cells * cells))
        }
        let scale = Float(cells) / Float(side)
        func axis(_ x: Int) -> (Int, Int, Float) {
            let at = min(max((Float(x) + 0.5) * scale - 0.5, 0), Float(cells - 1)), low = Int(at)
            return (low, min(low + 1, cells - 1), at - Float(low))
        }
        var own = [Float](repeating: 0, count: side * side)
        for row in 0..<side {
            let (r0, r1, fr) = axis(row)
            for column in 0..<side {
                let (c0, c1, fc) = axis(column)
                let upper = weighted[r0 * cells + c0] * (1 - fc) + weighted[r0 * cells + c1] * fc
                let lower = weighted[r1 * cells + c0] * (1 - fc) + weighted[r1 * cells + c1] * fc
                own[row * side + column] = upper * (1 - fr) + lower * fr
            }
        }
        return Explanation(
            side: image.width, map: try placed(own, top, left, in: image.width), score: scores[0],
            baselineScore: nil, steps: nil, baseline: nil, completenessError: nil)
    }

    /// What the encoder sees of an image: all of it, or the patch with the highest score.
    private func window(of image: RGBImage) throws
        -> (pixels: [Float], top: Int, left: Int, detector: any OneClassClassifier)
    {
        precondition(image.width == image.height && image.width == model.side)
        var (top, left) = (0, 0), detector = model.detector
        if let grid = model.grid {
            let scores = try model.patchScores(of: ImageBatch(side: image.width, pixels: image.pixels))
            let best = scores.indices.max { scores[$0] < scores[$1] }!
            (top, left) = (
                grid.rows[best / grid.columns.count], grid.columns[best % grid.columns.count]
            )
            if let all = detector as? LocationwiseDetector { detector = all.detector(at: best) }
        }
        var pixels: [Float] = []
        pixels.reserveCapacity(side * side * 3)
        for row in top..<top + side {
            let start = (row * image.width + left) * 3
            pixels += image.pixels[start..<start + 3 * side].map { Float($0) / 255 }
        }
        return (pixels, top, left, detector)
    }

    private func placed(_ own: [Float], _ top: Int, _ left: Int, in width: Int) throws -> [Float] {
        try DetectorFitting.requireFinite(own, model.name)
        guard side != width else { return own }
        var result = [Float](repeating: 0, count: width * width)
        for row in 0..<side {
            let to = (top + row) * width + left
            result.replaceSubrange(to..<to + side, with: own[row * side..<(row + 1) * side])
        }
        return result
    }
}
