import Foundation

/// Charts as SVG, in the colors of the page they are in.
///
/// Texts have lines of their own, so that none lies on another whatever its length: the vertical axis's name
/// above it, the horizontal one's below its numbers, a class's name above its dots.
package enum Chart {
    static let width = 440.0, right = 22.0, line = 18.0
    /// Of the font in `reportStyle`; digits are narrower.
    static let fontSize = 13.0, characterWidth = 7.2

    /// A line of a chart, in the coordinates of its axes.
    struct Line {
        let points: [(x: Double, y: Double)]
        /// A CSS class: `line1` or `guide`.
        let style: String
    }

    static func number(_ value: Double) -> String { String(format: "%.4g", value) }
    static func place(_ value: Double) -> String { String(format: "%.1f", value) }

    static func text(
        _ words: String, x: Double, y: Double, anchor: String = "start", style: String? = nil
    ) -> String {
        let style = style.map { "class=\"\($0)\" " } ?? ""
        return
            "<text \(style)x=\"\(place(x))\" y=\"\(place(y))\" text-anchor=\"\(anchor)\">\(escaped(words))</text>"
    }

    static func rule(_ style: String, x: (Double, Double), y: (Double, Double)) -> String {
        "<line class=\"\(style)\" x1=\"\(place(x.0))\" x2=\"\(place(x.1))\" y1=\"\(place(y.0))\" y2=\"\(place(y.1))\"/>"
    }

    /// Round numbers from 0 to the first one not below `top`: four to eight of them.
    static func ticks(to top: Double) -> [Double] {
        let rough = top / 5, power = pow(10, floor(log10(rough)))
        let step = power * ([1, 2, 5].first { rough <= $0 * power * 1.0001 } ?? 10)
        return (0...Int((top / step - 1e-9).rounded(.up))).map { Double($0) * step }
    }

    /// Lines over linear axes from 0; the axes end at a round number.
    static func lines(
        _ lines: [Line], x: (name: String, top: Double), y: (name: String, top: Double), description: String
    ) -> String {
        let xs = ticks(to: x.top), ys = ticks(to: y.top), height = 290.0
        let left = 10 + characterWidth * Double(ys.map { number($0).count }.max()!)
        let top = line + 10, bottom = height - 2 * line - 6
        func across(_ value: Double) -> Double { left + (width - left - right) * value / xs.last! }
        func down(_ value: Double) -> Double { bottom - (bottom - top) * value / ys.last! }
        var body = text(y.name, x: 4, y: line - 4, style: "strong")
        for value in ys {
            body += rule("grid", x: (left, width - right), y: (down(value), down(value)))
            body += text(number(value), x: left - 6, y: down(value) + 4, anchor: "end")
        }
        // Long numbers need room: every second one then.
        let longest = characterWidth * Double(xs.map { number($0).count }.max()! + 1)
        let each = longest * Double(xs.count) > width - left - right ? 2 : 1
        for (index, value) in xs.enumerated() where index % each == 0 {
            body += rule("grid", x: (across(value), across(value)), y: (bottom, bottom + 4))
            body += text(number(value), x: across(value), y: bottom + line, anchor: "middle")
        }
        for line in lines where !line.points.isEmpty {
            let points = line.points.map { "\(place(across($0.x))),\(place(down($0.y)))" }
            body += "<polyline class=\"\(line.style)\" points=\"\(points.joined(separator: " "))\"/>"
        }
        body += text(x.name, x: (left + width - right) / 2, y: height - 6, anchor: "middle", style: "strong")
        return svg(body, height: height, description)
    }

    /// A row of dots for each class, over a scale that is linear near the threshold and logarithmic far
    /// above.
    static func scores(
        _ classes: [(name: String, isNormal: Bool, scores: [Double])], threshold: Double?, ordinary: Double,
        alarm: Double, description: String
    ) -> String {
        let unit = max(alarm - ordinary, 1e-12), left = 14.0, row = 34.0
        func bent(_ score: Double) -> Double { asinh(2 * (score - ordinary) / unit) }
        let all = classes.flatMap { $0.scores.map(bent) } + [bent(alarm)]
        let low = all.min() ?? 0, high = max(all.max() ?? 1, low + 1e-9)
        func across(_ score: Double) -> Double {
            left + (width - left - right) * (bent(score) - low) / (high - low)
        }
        let top = threshold == nil ? 4 : line + 4
        let bottom = top + Double(classes.count) * (line + row), total = bottom + 2 * line + 8
        var body = ""
        for (index, group) in classes.enumerated() {
            let start = top + Double(index) * (line + row), middle = start + line + row / 2
            body += text(shortened(group.name), x: 4, y: start + line - 2, style: "strong")
            body += rule("grid", x: (left, width - right), y: (middle, middle))
            for (place_, score) in group.scores.enumerated() {
                // Dots are spread over the row so that equal scores show.
                let jitter = (Double(place_ * 7 % 11) / 10 - 0.5) * row * 0.6
                body += """
                    <circle class="\(group.isNormal ? "normal" : "outlier")" cx="\(place(across(score)))" \
                    cy="\(place(middle + jitter))" r="3"/>
                    """
            }
        }
        if let threshold {
            let x = across(threshold), words = "threshold \(number(threshold))"
            let half = characterWidth * Double(words.count) / 2
            body += rule("threshold", x: (x, x), y: (top, bottom))
            body += text(
                words, x: min(max(x, 4 + half), width - 4 - half), y: line - 4, anchor: "middle",
                style: "strong")
        }
        body += rule("grid", x: (left, width - right), y: (bottom, bottom))
        for share in [0.0, 0.5, 1] {
            let score = ordinary + unit / 2 * sinh(low + share * (high - low)), x = across(score)
            let anchor = share == 0 ? "start" : share == 1 ? "end" : "middle"
            body += rule("grid", x: (x, x), y: (bottom, bottom + 4))
            body += text(number(score), x: x, y: bottom + line, anchor: anchor)
        }
        body += text("score", x: width / 2, y: total - 6, anchor: "middle", style: "strong")
        return svg(body, height: total, description)
    }

    /// A name that fits the chart's width.
    static func shortened(_ name: String) -> String {
        let room = Int((width - 20) / characterWidth)
        return name.count <= room ? name : name.prefix(room / 2) + "…" + name.suffix(room / 2 - 1)
    }

    static func svg(_ body: String, height: Double, _ description: String) -> String {
        "<svg role=\"img\" viewBox=\"0 0 \(Int(width)) \(Int(height.rounded(.up)))\" "
            + "aria-label=\"\(escaped(description))\">\(body)</svg>"
    }
}

/// Escapes text as it may stand in HTML.
func escaped(_ text: String) -> String {
    text.replacing("&", with: "&amp;").replacing("<", with: "&lt;").replacing(">", with: "&gt;")
        .replacing("\"", with: "&quot;")
}
