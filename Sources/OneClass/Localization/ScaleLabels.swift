/// The numbers beside a picture's scale: its ends, and the threshold between them.
package struct ScaleLabels {
    /// A number, and the row of its upper edge.
    package struct Label: Equatable {
        package let text: String
        package let row: Int
    }

    /// Pixels to the side of a dot.
    package let dot: Int
    package let labels: [Label]
    /// The row of the scale where the threshold lies; nil without one, or where it lies off the scale.
    package let mark: Int?

    /// Pixels that the widest number takes.
    package var width: Int { (labels.map { ScaleFont.width(of: $0.text) }.max() ?? 0) * dot }

    /// Numbers for a scale of `height` pixels, its upper end at the top. A scale too low for a number
    /// between its ends has the threshold's mark alone, and one too low for two numbers has none.
    package init(range: ClosedRange<Double>, threshold: Double?, height: Int) {
        dot = height >= 64 ? 2 : 1
        let tall = ScaleFont.height * dot
        let within = threshold.flatMap { range.contains($0) ? $0 : nil }
        mark = within.map {
            Int(((1 - Overlay.position($0, in: range)) * Double(max(0, height - 1))).rounded())
        }
        guard height >= 2 * tall + dot else {
            labels = []
            return
        }
        var found = [Label(text: ScaleFont.text(range.upperBound), row: 0)]
        let first = tall + dot, last = height - 2 * tall - dot
        if let within, let mark, first <= last {
            let row = min(last, max(first, mark - tall / 2))
            found.append(Label(text: ScaleFont.text(within), row: row))
        }
        found.append(Label(text: ScaleFont.text(range.lowerBound), row: height - tall))
        labels = found
    }

    /// Calls `set` with the row and column of each pixel of the numbers, columns counted from `column`.
    package func draw(from column: Int, _ set: (Int, Int) -> Void) {
        for label in labels {
            for (place, character) in label.text.enumerated() {
                let left = column + place * (ScaleFont.width + 1) * dot
                for (line, bits) in (ScaleFont.rows(of: character) ?? []).enumerated() {
                    for bit in 0..<ScaleFont.width where bits >> (ScaleFont.width - 1 - bit) & 1 == 1 {
                        for pixel in 0..<dot * dot {
                            set(label.row + line * dot + pixel / dot, left + bit * dot + pixel % dot)
                        }
                    }
                }
            }
        }
    }
}
