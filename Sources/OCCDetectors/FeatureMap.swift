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
    public enum Interpolation: String, Sendable {
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
        let width = columns * channels, from = self.columns * channels
        // Across in every line, then down.
        var lines = [Float](repeating: 0, count: self.rows * width)
        var result = [Float](repeating: 0, count: rows * width)
        lines.withUnsafeMutableBufferPointer { lines in
            values.withUnsafeBufferPointer { values in
                for row in 0..<self.rows {
                    let line = values.baseAddress! + row * from
                    for (column, x) in across.enumerated() {
                        let to = lines.baseAddress! + row * width + column * channels
                        addLine(to, line + x.first * channels, channels, times: 1 - x.share)
                        if x.share == 0 { continue }
                        addLine(to, line + x.second * channels, channels, times: x.share)
                    }
                }
            }
            result.withUnsafeMutableBufferPointer { result in
                for (row, y) in down.enumerated() {
                    let to = result.baseAddress! + row * width
                    addLine(to, lines.baseAddress! + y.first * width, width, times: 1 - y.share)
                    if y.share == 0 { continue }
                    addLine(to, lines.baseAddress! + y.second * width, width, times: y.share)
                }
            }
        }
        return FeatureMap(rows: rows, columns: columns, channels: channels, values: result)
    }

    /// The adjoint of `resized`: from the gradient by the places of a resized map that by those of a map of this size.
    func resizedAdjoint(rows: Int, columns: Int, by interpolation: Interpolation) -> FeatureMap {
        if (rows, columns) == (self.rows, self.columns) { return self }
        let down = Self.taps(rows, self.rows, interpolation)
        let across = Self.taps(columns, self.columns, interpolation)
        var result = [Float](repeating: 0, count: rows * columns * channels)
        for (row, y) in down.enumerated() {
            for (column, x) in across.enumerated() {
                let from = (row * self.columns + column) * channels
                for (line, ofLine) in [(y.first, 1 - y.share), (y.second, y.share)] where ofLine != 0 {
                    for (place, share) in [(x.first, 1 - x.share), (x.second, x.share)] where share != 0 {
                        let to = (line * columns + place) * channels
                        for channel in 0..<channels {
                            result[to + channel] += ofLine * share * values[from + channel]
                        }
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
            guard interpolation == .bilinear else {
                let source = place * length / count
                return (source, source, 0)
            }
            let at = max(0, (Double(place) + 0.5) * Double(length) / Double(count) - 0.5)
            let first = min(Int(at), length - 1)
            return (first, min(first + 1, length - 1), Float(at - Double(first)))
        }
    }

    /// What each of `length` places of a line adds to each of `count` places of the resized one: [count, length],
    /// row-major.
    package static func resizing(_ length: Int, to count: Int, by interpolation: Interpolation) -> [Double] {
        var result = [Double](repeating: 0, count: count * length)
        for (place, tap) in taps(length, count, interpolation).enumerated() {
            result[place * length + tap.first] += Double(1 - tap.share)
            result[place * length + tap.second] += Double(tap.share)
        }
        return result
    }

    /// The mean of the 3 x 3 places around each, zeros beyond the edge counted; its adjoint is the same.
    public func averaged() -> FeatureMap {
        var result = self
        result.values.withUnsafeMutableBufferPointer { result in
            values.withUnsafeBufferPointer { values in
                for row in 0..<rows {
                    for column in 0..<columns {
                        let to = (row * columns + column) * channels
                        for channel in 0..<channels { result[to + channel] = 0 }
                        for y in max(0, row - 1)...min(rows - 1, row + 1) {
                            for x in max(0, column - 1)...min(columns - 1, column + 1) {
                                let from = values.baseAddress! + (y * columns + x) * channels
                                addLine(result.baseAddress! + to, from, channels, times: 1 / 9)
                            }
                        }
                    }
                }
            }
        }
        return result
    }

    /// The map of some of the channels, in this order.
    func selected(_ chosen: [Int]) -> FeatureMap {
        precondition(!chosen.isEmpty)
        let places = rows * columns, count = chosen.count
        let selected = [Float](unsafeUninitializedCapacity: places * count) { to, filled in
            values.withUnsafeBufferPointer { values in
                for place in 0..<places {
                    for (index, channel) in chosen.enumerated() {
                        to.initializeElement(
                            at: place * count + index, to: values[place * channels + channel])
                    }
                }
            }
            filled = places * count
        }
        return FeatureMap(rows: rows, columns: columns, channels: count, values: selected)
    }

    /// Maps of equal size as one, their channels one after the other.
    public static func joined(_ maps: [FeatureMap]) -> FeatureMap {
        let first = maps[0], places = first.rows * first.columns
        precondition(maps.allSatisfy { $0.rows == first.rows && $0.columns == first.columns })
        guard maps.count > 1 else { return first }
        let channels = maps.reduce(0) { $0 + $1.channels }
        let values = [Float](unsafeUninitializedCapacity: places * channels) { to, filled in
            var before = 0
            for map in maps {
                map.values.withUnsafeBufferPointer { from in
                    for place in 0..<places {
                        (to.baseAddress! + place * channels + before).initialize(
                            from: from.baseAddress! + place * map.channels, count: map.channels)
                    }
                }
                before += map.channels
            }
            filled = places * channels
        }
        return FeatureMap(rows: first.rows, columns: first.columns, channels: channels, values: values)
    }

    /// The weights of a Gaussian of this deviation in places, cut off at four deviations.
    private static func gaussian(_ sigma: Double) -> [Float] {
        let reach = Int(4 * sigma + 0.5)
        let raw = (-reach...reach).map { exp(-0.5 * Double($0 * $0) / (sigma * sigma)) }
        let sum = raw.reduce(0, +)
        return raw.map { Float($0 / sum) }
    }

    /// The map smoothed by a Gaussian of this deviation in places, cut off at four deviations; beyond its edges the map
    /// is mirrored, the place at the edge once.
    public func blurred(sigma: Double) -> FeatureMap {
        let weights = Self.gaussian(sigma), reach = weights.count / 2, width = columns * channels
        var lines = self, result = self
        // A line with what lies beyond its ends.
        var line = [Float](repeating: 0, count: width + 2 * reach * channels)
        lines.values.withUnsafeMutableBufferPointer { lines in
            for row in 0..<rows {
                let own = UnsafeMutableBufferPointer(rebasing: lines[row * width..<(row + 1) * width])
                line.withUnsafeMutableBufferPointer { line in
                    for place in -reach..<columns + reach {
                        let from = Self.mirrored(place, columns) * channels, to = (place + reach) * channels
                        for channel in 0..<channels { line[to + channel] = own[from + channel] }
                    }
                    own.update(repeating: 0)
                    for (tap, weight) in weights.enumerated() {
                        addLine(own.baseAddress!, line.baseAddress! + tap * channels, width, times: weight)
                    }
                }
            }
            result.values.withUnsafeMutableBufferPointer { result in
                for row in 0..<rows {
                    let own = result.baseAddress! + row * width
                    own.update(repeating: 0, count: width)
                    for (tap, weight) in weights.enumerated() {
                        let from = Self.mirrored(row + tap - reach, rows) * width
                        addLine(own, lines.baseAddress! + from, width, times: weight)
                    }
                }
            }
        }
        return result
    }

    /// What each of `count` places of a line adds to each of those of the line that `blurred` makes: [count, count],
    /// row-major.
    package static func blurring(_ count: Int, sigma: Double) -> [Double] {
        let weights = gaussian(sigma), reach = weights.count / 2
        var result = [Double](repeating: 0, count: count * count)
        for place in 0..<count {
            for (tap, weight) in weights.enumerated() {
                result[place * count + mirrored(place + tap - reach, count)] += Double(weight)
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

/// Adds `count` values, each times a factor, to others.
@inline(__always)
private func addLine(
    _ to: UnsafeMutablePointer<Float>, _ from: UnsafePointer<Float>, _ count: Int, times factor: Float
) {
    for index in 0..<count { to[index] += factor * from[index] }
}
