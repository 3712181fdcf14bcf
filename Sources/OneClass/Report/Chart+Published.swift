import Foundation

/// Charts of our values beside published ones, in percent.
extension Chart {
    /// A value with its spread, both in percent.
    package struct Estimate {
        let value: Double
        let spread: Double?

        package init(value: Double, spread: Double?) { (self.value, self.spread) = (value, spread) }
    }

    /// A curve over a few places.
    struct Series {
        let name: String
        /// The number of its color: there are four, over and over.
        let color: Int
        let isDashed: Bool
        let points: [(x: Double, ours: Estimate?, published: Estimate?)]
    }

    /// The ticks of an axis that holds all values with their spreads: round numbers from 0 to 100, over 5 points at
    /// least, so that a small difference looks small.
    package static func axis(of estimates: [Estimate]) -> [Double] {
        let lows = estimates.map { $0.value - ($0.spread ?? 0) }
        let highs = estimates.map { $0.value + ($0.spread ?? 0) }
        guard var low = lows.min(), var high = highs.max() else { return [0, 100] }
        let missing = max(0, 5 - (high - low))
        (low, high) = (max(0, low - missing / 2), min(100, high + missing / 2))
        let rough = max(high - low, 1) / 5, power = pow(10, floor(log10(rough)))
        let step = power * ([1, 2, 5].first { rough <= $0 * power * 1.0001 } ?? 10)
        let first = Int((low / step + 1e-9).rounded(.down)), last = Int((high / step - 1e-9).rounded(.up))
        return (first...max(last, first + 1)).map { Double($0) * step }
    }

    /// Curves over places that have a tick each: ours as dots with spreads, joined; published ones as diamonds. The
    /// vertical axis need not begin at 0.
    ///
    /// - Parameters:
    ///   - factor: what places are multiplied by where they are shown.
    ///   - isLogarithmic: whether places are apart by their ratio.
    static func curves(
        _ series: [Series], x: (name: String, factor: Double, isLogarithmic: Bool), y: String,
        description: String
    ) -> String {
        let places = Set(series.flatMap { $0.points.map(\.x) }).sorted()
        let estimates = series.flatMap { $0.points.flatMap { [$0.ours, $0.published] } }.compactMap { $0 }
        guard let first = places.first, let last = places.last, !estimates.isEmpty else { return "" }
        let ys = axis(of: estimates), legend = Double(series.count) * line, height = 300 + legend
        let left = 16 + 7.2 * Double(ys.map { number($0).count }.max()!), right = 26.0
        let top = line + 10 + legend, bottom = height - 2 * line - 6
        // The dots of one place stand side by side.
        let apart = 5.0, margin = 4 + apart * Double(series.count) / 2
        func bent(_ value: Double) -> Double { x.isLogarithmic ? log(value) : value }
        func across(_ value: Double) -> Double {
            let span = bent(last) - bent(first)
            let share = span > 0 ? (bent(value) - bent(first)) / span : 0.5
            return left + margin + (width - left - right - 2 * margin) * share
        }
        func down(_ value: Double) -> Double {
            bottom - (bottom - top) * (value - ys.first!) / (ys.last! - ys.first!)
        }
        var body = ""
        for (index, one) in series.enumerated() {
            let middle = 10 + Double(index) * line, style = style(one)
            body += rule("\(style) spread", x: (6, 26), y: (middle, middle))
            body += text(shortened(one.name), x: 32, y: middle + 4)
        }
        body += text(y, x: 4, y: top - 14, style: "strong")
        for value in ys {
            body += rule("grid", x: (left, width - right), y: (down(value), down(value)))
            body += text(number(value), x: left - 6, y: down(value) + 4, anchor: "end")
        }
        var free = -Double.infinity
        for value in places {
            let words = number(value * x.factor), half = 3.6 * Double(words.count)
            body += rule("grid", x: (across(value), across(value)), y: (bottom, bottom + 4))
            // A number that would touch the one before is left out.
            guard across(value) - half > free else { continue }
            body += text(words, x: across(value), y: bottom + line, anchor: "middle")
            free = across(value) + half + 4
        }
        for (index, one) in series.enumerated() {
            let style = style(one)
            let aside = apart * (Double(index) - Double(series.count - 1) / 2)
            let points = one.points.compactMap { point in
                point.ours.map { (x: across(point.x) + aside, y: down($0.value), spread: $0.spread) }
            }
            let path = points.map { "\(place($0.x)),\(place($0.y))" }.joined(separator: " ")
            if points.count > 1 { body += "<polyline class=\"\(style)\" points=\"\(path)\"/>" }
            let unit = (bottom - top) / (ys.last! - ys.first!)
            for point in points {
                if let spread = point.spread {
                    let reach = spread * unit
                    body += rule(
                        "\(style) spread", x: (point.x, point.x), y: (point.y - reach, point.y + reach))
                }
                body += dot(style, x: point.x, y: point.y)
            }
            for point in one.points {
                guard let published = point.published else { continue }
                let reach = (published.spread ?? 0) * unit
                let at = (x: across(point.x) + aside, y: down(published.value))
                body += rule("\(style) spread", x: (at.x, at.x), y: (at.y - reach, at.y + reach))
                body += diamond(style, x: at.x, y: at.y)
            }
        }
        body += text(
            x.name, x: (left + width - right) / 2, y: height - 6, anchor: "middle", style: "strong")
        return svg(body, height: height, description)
    }

    /// A line for each row: ours as a dot, the published value as a diamond below it, each with its spread.
    ///
    /// - Parameter xs: the axis's ticks, which hold all values.
    static func rows(
        _ rows: [(name: String, ours: Estimate?, published: Estimate?)], ticks xs: [Double], x name: String,
        description: String
    ) -> String {
        guard rows.contains(where: { $0.ours != nil || $0.published != nil }) else { return "" }
        let left = 14.0, right = 22.0, row = 46.0
        let bottom = Double(rows.count) * row + 4, height = bottom + 2 * line + 8
        func across(_ value: Double) -> Double {
            left + (width - left - right) * (value - xs.first!) / (xs.last! - xs.first!)
        }
        var body = ""
        for value in xs {
            body += rule("grid", x: (across(value), across(value)), y: (4, bottom + 4))
            body += text(number(value), x: across(value), y: bottom + line, anchor: "middle")
        }
        for (index, one) in rows.enumerated() {
            let start = 4 + Double(index) * row
            body += text(shortened(one.name), x: 4, y: start + line - 4, style: "strong")
            for (place, estimate) in [one.ours, one.published].enumerated() {
                guard let estimate else { continue }
                let y = start + line + 6 + 12 * Double(place), spread = estimate.spread ?? 0
                let style = place == 0 ? "line1" : "published"
                body += rule(
                    "\(style) spread",
                    x: (across(estimate.value - spread), across(estimate.value + spread)), y: (y, y))
                body +=
                    place == 0
                    ? dot(style, x: across(estimate.value), y: y)
                    : diamond(style, x: across(estimate.value), y: y)
            }
        }
        body += text(name, x: width / 2, y: height - 6, anchor: "middle", style: "strong")
        return svg(body, height: height, description)
    }

    private static func style(_ one: Series) -> String {
        "line\(one.color % 4 + 1)\(one.isDashed ? " dashed" : "")"
    }

    private static func dot(_ style: String, x: Double, y: Double) -> String {
        "<circle class=\"\(style)\" cx=\"\(place(x))\" cy=\"\(place(y))\" r=\"3.5\"/>"
    }

    private static func diamond(_ style: String, x: Double, y: Double) -> String {
        let corners = [(x - 5, y), (x, y - 5), (x + 5, y), (x, y + 5)]
        let points = corners.map { "\(place($0.0)),\(place($0.1))" }.joined(separator: " ")
        return "<polygon class=\"published \(style)\" points=\"\(points)\"/>"
    }
}
