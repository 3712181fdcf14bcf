import Foundation

/// Charts as SVG, in the colors of the page they are in.
enum Chart {
    private static let width = 560.0, height = 300.0
    private static let left = 52.0, right = 14.0, top = 12.0, bottom = 40.0

    /// A line of a chart, in the coordinates of its axes.
    struct Line {
        let points: [(x: Double, y: Double)]
        /// A CSS class: `line1` or `guide`.
        let style: String
    }

    private static func number(_ value: Double) -> String { String(format: "%.4g", value) }
    private static func place(_ value: Double) -> String { String(format: "%.1f", value) }

    /// Lines over linear axes from 0.
    static func lines(
        _ lines: [Line], x: (name: String, range: ClosedRange<Double>),
        y: (name: String, range: ClosedRange<Double>), description: String
    ) -> String {
        func across(_ value: Double) -> Double {
            left + (width - left - right) * (value - x.range.lowerBound)
                / max(x.range.upperBound - x.range.lowerBound, 1e-12)
        }
        func down(_ value: Double) -> Double {
            height - bottom - (height - top - bottom) * (value - y.range.lowerBound)
                / max(y.range.upperBound - y.range.lowerBound, 1e-12)
        }
        var body = ""
        for tick in 0...4 {
            let share = Double(tick) / 4
            let vx = x.range.lowerBound + share * (x.range.upperBound - x.range.lowerBound)
            let vy = y.range.lowerBound + share * (y.range.upperBound - y.range.lowerBound)
            body += """
                <line class="grid" x1="\(place(left))" x2="\(place(width - right))" y1="\(place(down(vy)))" \
                y2="\(place(down(vy)))"/><text x="\(place(left - 6))" y="\(place(down(vy) + 4))" \
                text-anchor="end">\(number(vy))</text><text x="\(place(across(vx)))" \
                y="\(place(height - bottom + 18))" text-anchor="middle">\(number(vx))</text>
                """
        }
        for line in lines where !line.points.isEmpty {
            let points = line.points.map { "\(place(across($0.x))),\(place(down($0.y)))" }
            body += "<polyline class=\"\(line.style)\" points=\"\(points.joined(separator: " "))\"/>"
        }
        body += axes(x.name, y.name)
        return svg(body, height: height, description)
    }

    /// A row of dots for each class, over a scale that is linear near the threshold and logarithmic far
    /// above.
    static func scores(
        _ classes: [(name: String, isNormal: Bool, scores: [Double])], threshold: Double?, ordinary: Double,
        alarm: Double, description: String
    ) -> String {
        let unit = max(alarm - ordinary, 1e-12), row = 34.0, label = 130.0
        func bent(_ score: Double) -> Double { asinh(2 * (score - ordinary) / unit) }
        let all = classes.flatMap { $0.scores.map(bent) } + [bent(alarm)]
        let low = all.min() ?? 0, high = max(all.max() ?? 1, low + 1e-9)
        func across(_ score: Double) -> Double {
            label + (width - label - right) * (bent(score) - low) / (high - low)
        }
        let total = top + row * Double(classes.count) + bottom
        var body = ""
        for (index, group) in classes.enumerated() {
            let middle = top + row * (Double(index) + 0.5)
            body += """
                <text x="\(place(label - 8))" y="\(place(middle + 4))" text-anchor="end">\(escaped(group.name))</text>\
                <line class="grid" x1="\(place(label))" x2="\(place(width - right))" y1="\(place(middle))" \
                y2="\(place(middle))"/>
                """
            for (place_, score) in group.scores.enumerated() {
                // Dots are spread over the row so that equal scores show.
                let jitter = (Double(place_ * 7 % 11) / 10 - 0.5) * row * 0.55
                body += """
                    <circle class="\(group.isNormal ? "normal" : "outlier")" cx="\(place(across(score)))" \
                    cy="\(place(middle + jitter))" r="3"/>
                    """
            }
        }
        if let threshold {
            let x = place(across(threshold))
            body += """
                <line class="threshold" x1="\(x)" x2="\(x)" y1="\(place(top))" y2="\(place(total - bottom))"/>\
                <text class="strong" x="\(x)" y="\(place(total - bottom + 32))" text-anchor="middle">threshold</text>
                """
        }
        for share in [0.0, 0.5, 1] {
            let score = ordinary + unit / 2 * sinh(low + share * (high - low))
            let anchor = share == 0 ? "start" : share == 1 ? "end" : "middle"
            body += """
                <text x="\(place(across(score)))" y="\(place(total - bottom + 16))" \
                text-anchor="\(anchor)">\(number(score))</text>
                """
        }
        return svg(body, height: total, description)
    }

    private static func axes(_ x: String, _ y: String) -> String {
        """
        <text class="strong" x="\(place((left + width - right) / 2))" y="\(place(height - 4))" \
        text-anchor="middle">\(escaped(x))</text><text class="strong" text-anchor="middle" \
        transform="translate(12 \(place((top + height - bottom) / 2))) rotate(-90)">\(escaped(y))</text>
        """
    }

    private static func svg(_ body: String, height: Double, _ description: String) -> String {
        "<svg role=\"img\" viewBox=\"0 0 \(Int(width)) \(Int(height))\" aria-label=\"\(escaped(description))\">\(body)</svg>"
    }
}

/// Escapes text as it may stand in HTML.
func escaped(_ text: String) -> String {
    text.replacing("&", with: "&amp;").replacing("<", with: "&lt;").replacing(">", with: "&gt;")
        .replacing("\"", with: "&quot;")
}
