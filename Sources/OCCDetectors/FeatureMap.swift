import Foundation

/// A map of features of an image, rows x columns places of `channels` each: the channels of a place lie together.
public struct FeatureMap: Sendable, Equatable {
    /// The height in places.
    public let rows: Int
    /// The width in places.
    public let columns: Int
    /// The features of a place.
    public let channels: Int
    /// rows * columns * channels of them.
    public var values: [Float]

    /// A map of values in the order rows, columns, channels; there must be as many.
    public init(rows: Int, columns: Int, channels: Int, values: [Float]) {
        precondition(values.count == rows * columns * channels && !values.isEmpty)
        self.rows = rows
        self.columns = columns
        self.channels = channels
        self.values = values
    }

    /// The deviation in pixels of the Gaussian that maps of scores are smoothed by (Defard et al. 2021; Roth et al.
    /// 2022).
    public static let smoothing = 4.0

    /// How places between those of a map get their values.
    public enum Interpolation: Sendable {
        /// The value of the place that begins last before.
        case nearest
        /// Linear in both directions between the centers of places.
        case bilinear
    }

    /// The map with another number of places, as PyTorch's `interpolate` has it without aligned corners.
    public func resized(rows: Int, columns: Int, by interpolation: Interpolation) -> FeatureMap {
        if (rows, columns) == (self.rows, self.columns) { return self }
        let down = Self.taps(self.rows, rows, interpolation)
        let across = Self.taps(self.columns, columns, interpolation)
        var result = [Float](repeating: 0, count: rows * columns * channels)
        for (row, y) in down.enumerated() {
            for (column, x) in across.enumerated() {
                let to = (row * columns + column) * channels
                for (from, share) in [
                    (y.first * self.columns + x.first, (1 - y.share) * (1 - x.share)),
                    (y.first * self.columns + x.second, (1 - y.share) * x.share),
                    (y.second * self.columns + x.first, y.share * (1 - x.share)),
                    (y.second * self.columns + x.second, y.share * x.share),
                ] where share != 0 {
                    for channel in 0..<channels {
                        result[to + channel] += share * values[from * channels + channel]
                    }
                }
            }
        }
        return FeatureMap(rows: rows, columns: columns, channels: channels, values: result)
    }

    /// For each of `count` places the two of `length` that its value lies between, and the second one's share.
    private static func taps(_ length: Int, _ count: Int, _ interpolation: Interpolation)
        -> [(first: Int, second: Int, share: Float)]
    {
        (0..<count).map { place in
            guard interpolation == .bilinear else { return (place * length / count, 0, 0) }
            let at = max(0, (Double(place) + 0.5) * Double(length) / Double(count) - 0.5)
            let first = min(Int(at), length - 1)
            return (first, min(first + 1, length - 1), Float(at - Double(first)))
        }
    }

    /// The mean of the 3 x 3 places around each, zeros beyond the edge counted.
    public func averaged() -> FeatureMap {
        var result = self
        for row in 0..<rows {
            for column in 0..<columns {
                let to = (row * columns + column) * channels
                for channel in 0..<channels { result.values[to + channel] = 0 }
                for y in max(0, row - 1)...min(rows - 1, row + 1) {
                    for x in max(0, column - 1)...min(columns - 1, column + 1) {
                        let from = (y * columns + x) * channels
                        for channel in 0..<channels {
                            result.values[to + channel] += values[from + channel] / 9
                        }
                    }
                }
            }
        }
        return result
    }

    /// Maps of equal size as one, their channels one after the other.
    public static func joined(_ maps: [FeatureMap]) -> FeatureMap {
        let first = maps[0], places = first.rows * first.columns
        precondition(maps.allSatisfy { $0.rows == first.rows && $0.columns == first.columns })
        let channels = maps.reduce(0) { $0 + $1.channels }
        var values: [Float] = []
        values.reserveCapacity(places * channels)
        for place in 0..<places {
            for map in maps { values += map.values[place * map.channels..<(place + 1) * map.channels] }
        }
        return FeatureMap(rows: first.rows, columns: first.columns, channels: channels, values: values)
    }

    /// The map smoothed by a Gaussian of this deviation in places, cut off at four deviations; beyond its edges the map
    /// is mirrored, the place at the edge once.
    public func blurred(sigma: Double) -> FeatureMap {
        let reach = Int(4 * sigma + 0.5)
        let raw = (-reach...reach).map { exp(-0.5 * Double($0 * $0) / (sigma * sigma)) }
        let sum = raw.reduce(0, +), weights = raw.map { Float($0 / sum) }
        return smoothed(weights, isAcross: true).smoothed(weights, isAcross: false)
    }

    /// A convolution in one direction.
    private func smoothed(_ weights: [Float], isAcross: Bool) -> FeatureMap {
        let reach = weights.count / 2, length = isAcross ? columns : rows
        let sources = (0..<length).map { place in
            (-reach...reach).map { Self.mirrored(place + $0, length) }
        }
        var result = self
        for row in 0..<rows {
            for column in 0..<columns {
                let to = (row * columns + column) * channels, own = sources[isAcross ? column : row]
                for channel in 0..<channels {
                    var sum: Float = 0
                    for (tap, source) in own.enumerated() {
                        let from = isAcross ? row * columns + source : source * columns + column
                        sum += weights[tap] * values[from * channels + channel]
                    }
                    result.values[to + channel] = sum
                }
            }
        }
        return result
    }

    /// The place of a line that stands for one beyond its ends.
    private static func mirrored(_ place: Int, _ length: Int) -> Int {
        guard length > 1 else { return 0 }
        let period = 2 * (length - 1), within = ((place % period) + period) % period
        return min(within, period - within)
    }
}
