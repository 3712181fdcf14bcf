import Foundation
import OCCData
import OCCDetectors

/// What no defect is, and scores of held-out normal images follow nevertheless: how bright an image is, how much
/// contrast it has, or where its bright parts lie. Found from normal images alone.
public struct ScoreBias: Sendable, Equatable {
    /// What the scores follow, in words.
    public let property: String
    /// Spearman's rank correlation of it with the scores.
    public let correlation: Double

    /// Below this a correlation is not worth a word: it explains less than a quarter of the ranks' variance.
    static let leastCorrelation = 0.5
    /// Deviations of Fisher's z from 0 beyond which a correlation is no chance: p < 0.001, two-sided.
    static let leastDeviation = 3.29

    /// The properties that the scores of images follow, the strongest first.
    ///
    /// - Parameter scores: one an image.
    public static func find(in images: ImageBatch, scores: [Double]) -> [ScoreBias] {
        precondition(images.count == scores.count)
        guard images.count > 4 else { return [] }
        let all = (0..<images.count).map { properties(images[$0], side: images.side) }
        return names.indices.compactMap { index -> ScoreBias? in
            let found = spearman(scores, all.map { $0[index] })
            let deviation = atanh(min(0.999999, abs(found))) * Double(images.count - 3).squareRoot()
            guard abs(found) >= leastCorrelation, deviation > leastDeviation else { return nil }
            return ScoreBias(property: names[index], correlation: found)
        }.sorted { abs($0.correlation) > abs($1.correlation) }
    }

    /// A warning in a sentence.
    public var warning: String {
        let size = String(format: "%.2f", correlation)
        return
            "scores of held-out normal images follow \(property) (rank correlation \(size)), which is no defect; "
            + "keep it alike in all images, or train on images in which it varies as it will in use"
    }

    private static let names = [
        "brightness", "contrast", "the place of bright parts, left to right",
        "the place of bright parts, top to bottom",
    ]

    /// Mean, deviation, and the center of mass of an image's brightness.
    private static func properties(_ image: ArraySlice<UInt8>, side: Int) -> [Double] {
        var sum = 0.0, squares = 0.0, across = 0.0, down = 0.0
        for row in 0..<side {
            for column in 0..<side {
                let at = image.startIndex + (row * side + column) * 3
                let value = Double(Int(image[at]) + Int(image[at + 1]) + Int(image[at + 2])) / 3
                sum += value
                squares += value * value
                across += value * Double(column)
                down += value * Double(row)
            }
        }
        let count = Double(side * side), mean = sum / count
        return [
            mean, max(0, squares / count - mean * mean).squareRoot(), across / max(sum, 1),
            down / max(sum, 1),
        ]
    }

    /// The correlation of ranks, ties in the middle; 0 where either is constant.
    package static func spearman(_ a: [Double], _ b: [Double]) -> Double {
        func ranks(_ values: [Double]) -> [Double] {
            let order = values.indices.sorted { values[$0] < values[$1] }
            var result = [Double](repeating: 0, count: values.count), first = 0
            while first < order.count {
                var last = first
                while last + 1 < order.count, values[order[last + 1]] == values[order[first]] { last += 1 }
                for place in first...last { result[order[place]] = Double(first + last) / 2 }
                first = last + 1
            }
            return result
        }
        let x = ranks(a), y = ranks(b), middle = Double(a.count - 1) / 2
        var product = 0.0, squares = (0.0, 0.0)
        for (p, q) in zip(x, y) {
            product += (p - middle) * (q - middle)
            squares = (
                squares.0 + (p - middle) * (p - middle), squares.1 + (q - middle) * (q - middle)
            )
        }
        let scale = (squares.0 * squares.1).squareRoot()
        return scale > 0 ? product / scale : 0
    }
}
