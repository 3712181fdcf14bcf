import Foundation
import OCCEngine

/// Photographs, so to speak, of a woven cloth, close up: the camera slightly rotated, nearer or farther, the
/// light from anywhere. Defects: scratched, stained, with a hole, with a loose thread on it, woven askew.
package struct BuiltinSurface: BuiltinPictures {
    package let side: Int
    package let seed: UInt64

    package static let name = "builtin:surface"
    package static let classes = ["good", "scratch", "stain", "hole", "loose thread", "skewed weave"]
    package static let trainCount = 200, testGood = 60, testDefect = 20
    package static let defaultSide = 128

    package init(side: Int, seed: UInt64) {
        self.side = side
        self.seed = seed
    }

    package func picture(defect: Int, random: inout CounterRandom) -> (pixels: [UInt8], mask: [UInt8]) {
        Cloth(defect: defect, random: &random).rendered(side: side, random: &random)
    }
}

private typealias Color = SIMD3<Double>
private typealias Point = SIMD2<Double>

/// A picture. Lengths are in units of a side.
private struct Cloth {
    let defect: Int
    // The camera and the light.
    let angle: Double, threads: Double
    let phase: Point
    let light: Point
    let exposure: Double, noise: Double
    let warp: Color, weft: Color
    // The defect: where, how large, which way, how strong.
    let center: Point
    let size: Double, direction: Double, strength: Double
    let tone: Double
    let waves: [(amplitude: Double, phase: Double)]

    init(defect: Int, random: inout CounterRandom) {
        func uniform(_ low: Double, _ high: Double) -> Double { low + (high - low) * random.uniform() }
        self.defect = defect
        angle = uniform(-0.06, 0.06)
        threads = uniform(15, 17)
        phase = [uniform(0, 1), uniform(0, 1)]
        let from = uniform(0, 2 * .pi), slope = uniform(0, 0.25)
        light = [slope * cos(from), slope * sin(from)]
        exposure = uniform(0.85, 1.1)
        noise = uniform(0.01, 0.03)
        let shade = uniform(-0.03, 0.03)
        warp = Color(0.34, 0.42, 0.56) + shade
        weft = Color(0.52, 0.57, 0.64) + shade
        center = [uniform(0.2, 0.8), uniform(0.2, 0.8)]
        size = uniform(0.7, 1.3)
        direction = uniform(0, 2 * .pi)
        strength = uniform(0.5, 0.9)
        tone = uniform(0, 1) < 0.5 ? 0.12 : 0.9
        waves = (0..<4).map { _ in (uniform(0.05, 0.2), uniform(0, 2 * .pi)) }
    }

    /// The cloth at a point; threads go over and under each other alternately.
    private func weave(_ p: Point, angle: Double) -> Color {
        let q = p - 0.5
        let u = (q.x * cos(angle) + q.y * sin(angle)) * threads + phase.x
        let v = (-q.x * sin(angle) + q.y * cos(angle)) * threads + phase.y
        let column = u.rounded(.down), row = v.rounded(.down)
        let isWarp = Int(column + row) & 1 == 0
        let across = isWarp ? u - column - 0.5 : v - row - 0.5,
            along = isWarp ? v - row - 0.5 : u - column - 0.5
        // Round threads, darker at their edges and where they dive.
        let round = max(0, 1 - 4 * across * across).squareRoot() * (1 - 1.2 * along * along)
        return (isWarp ? warp : weft) * (0.45 + 0.55 * round)
    }

    /// What the defect does to a point: its color, and how much of it covers the cloth.
    private func damage(_ p: Point) -> (color: Color, cover: Double) {
        let d = p - center
        let along = d.x * cos(direction) + d.y * sin(direction)
        let across = -d.x * sin(direction) + d.y * cos(direction)
        let radius = (d * d).sum().squareRoot(), angle = atan2(d.y, d.x)
        switch defect {
        case 1:
            let length = 0.2 * size, width = 0.012
            let bend = 0.25 * along * along / length
            guard abs(along) < length, abs(across - bend) < width else { return (.zero, 0) }
            return (Color(repeating: tone), strength)
        case 2:
            var edge = 0.11 * size
            for (k, wave) in waves.enumerated() {
                edge *= 1 + wave.amplitude * sin(Double(k + 2) * angle + wave.phase)
            }
            let inside = min(1, max(0, (edge - radius) / (0.25 * edge)))
            return (Color(0.33, 0.24, 0.12), 0.75 * strength * inside)
        case 3:
            let edge = 0.055 * size * (1 + waves[0].amplitude * sin(3 * angle + waves[0].phase))
            if radius < edge { return (Color(0.06, 0.06, 0.07), 1) }
            return radius < 1.25 * edge ? (Color(0.75, 0.76, 0.78), 0.6) : (.zero, 0)
        case 4:
            let length = 0.22 * size
            let bend = 0.05 * sin(along / length * 3 + waves[1].phase) + 0.02 * sin(along / length * 7)
            guard abs(along) < length, abs(across - bend) < 0.011 else { return (.zero, 0) }
            return (Color(0.82, 0.8, 0.72) * (1 - 20 * abs(across - bend)), 0.9)
        default:
            return (.zero, 0)
        }
    }

    private func isSkewed(_ p: Point) -> Bool {
        let d = p - center
        return defect == 5 && (d * d).sum() < 0.02 * size * size
    }

    /// Pixels (RGB), and the mask of the defect.
    func rendered(side: Int, random: inout CounterRandom) -> (pixels: [UInt8], mask: [UInt8]) {
        var pixels = [UInt8](), mask = [UInt8]()
        pixels.reserveCapacity(side * side * 3)
        mask.reserveCapacity(side * side)
        let samples = 2, share = 1 / Double(samples * samples)
        for row in 0..<side {
            for column in 0..<side {
                var color = Color.zero, damaged = 0.0
                for sub in 0..<(samples * samples) {
                    let p = Point(
                        (Double(column) + (Double(sub % samples) + 0.5) / Double(samples)) / Double(side),
                        (Double(row) + (Double(sub / samples) + 0.5) / Double(samples)) / Double(side))
                    let skewed = isSkewed(p), (paint, cover) = damage(p)
                    let cloth = weave(p, angle: angle + (skewed ? 0.5 : 0))
                    color += cloth * (1 - cover) + paint * cover
                    damaged += skewed || cover > 0.2 ? 1 : 0
                }
                let shade =
                    exposure + light.x * (Double(column) / Double(side) - 0.5)
                    + light.y * (Double(row) / Double(side) - 0.5)
                color *= share * shade
                for channel in 0..<3 {
                    let value = color[channel] + noise * random.normal()
                    pixels.append(UInt8(max(0, min(255, (255 * value).rounded()))))
                }
                mask.append(damaged * share >= 0.5 ? 1 : 0)
            }
        }
        return (pixels, mask)
    }
}
