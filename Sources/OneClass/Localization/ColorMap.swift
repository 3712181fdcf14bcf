import Foundation

/// A perceptually even scale of colors from dark blue to light yellow: lightness rises in a straight line in
/// OKLab (Ottosson 2020) while the hue changes, so that equal steps of a score look equal, and in gray too.
public enum ColorMap {
    /// The 256 colors, lowest first.
    public static let colors: [SIMD3<UInt8>] = (0..<256).map { color(Double($0) / 255) }

    /// The color of a value in 0...1; values outside are the nearest end's.
    public static subscript(value: Double) -> SIMD3<UInt8> {
        colors[Int((255 * min(1, max(0, value.isNaN ? 1 : value))).rounded())]
    }

    private static func color(_ t: Double) -> SIMD3<UInt8> {
        let lightness = 0.2 + 0.76 * t
        let hue = (280 - 180 * t) * .pi / 180  // blue, through purple's neighbors and green, to yellow
        // As colorful as the screen can show at this lightness and hue, up to a limit.
        var low = 0.0, high = 0.16
        for _ in 0..<30 {
            let middle = (low + high) / 2
            if linear(lightness, middle, hue).allSatisfy({ (0...1).contains($0) }) {
                low = middle
            } else {
                high = middle
            }
        }
        let rgb = linear(lightness, low, hue).map { value -> UInt8 in
            let v = min(1, max(0, value))
            let encoded = v <= 0.0031308 ? 12.92 * v : 1.055 * pow(v, 1 / 2.4) - 0.055
            return UInt8((255 * encoded).rounded())
        }
        return SIMD3(rgb[0], rgb[1], rgb[2])
    }

    /// The linear sRGB of OKLab's lightness, chroma and hue.
    private static func linear(_ lightness: Double, _ chroma: Double, _ hue: Double) -> [Double] {
        let a = chroma * cos(hue), b = chroma * sin(hue)
        func cube(_ x: Double) -> Double { x * x * x }
        let l = cube(lightness + 0.3963377774 * a + 0.2158037573 * b)
        let m = cube(lightness - 0.1055613458 * a - 0.0638541728 * b)
        let s = cube(lightness - 0.0894841775 * a - 1.2914855480 * b)
        return [
            4.0767416621 * l - 3.3077115913 * m + 0.2309699292 * s,
            -1.2684380046 * l + 2.6097574011 * m - 0.3413193965 * s,
            -0.0041960863 * l - 0.7034186147 * m + 1.7076147010 * s,
        ]
    }
}
