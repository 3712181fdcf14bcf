import Foundation
import OCCEngine

/// Photographs, so to speak, of one manufactured part: a plate with a hole at the top, two printed bars and a
/// chamfered corner, on varied grounds under varied light. Defects: misoriented, broken, unprinted, a wrong
/// part, contaminated.
package struct BuiltinShapes: BuiltinPictures {
    package let side: Int
    package let seed: UInt64

    package static let name = "builtin:shapes"
    package static let classes = ["good", "misoriented", "broken", "unprinted", "wrong part", "contaminated"]
    package static let trainCount = 1000, testGood = 300, testDefect = 60
    package static let defaultSide = 32

    package init(side: Int, seed: UInt64) {
        self.side = side
        self.seed = seed
    }

    package func picture(defect: Int, random: inout CounterRandom) -> (pixels: [UInt8], mask: [UInt8]) {
        Photograph(defect: defect, random: &random).rendered(side: side, random: &random)
    }
}

private typealias Color = SIMD3<Double>

/// A picture: the part's pose, the colors, the ground, the light and the defect. Lengths are in units of
/// half a side.
private struct Photograph {
    let defect: Int
    // Pose.
    let center: SIMD2<Double>
    let scale: Double, angle: Double
    // Looks.
    let plate: Color, print: Color, ground: (Color, Color)
    let texture: Int
    let frequency: Double, direction: Double
    let light: SIMD2<Double>
    let noise: Double
    // Defect.
    let cutDirection: Double, cutDepth: Double
    let spots: [(center: SIMD2<Double>, radius: Double)]
    let stain: Color
    let wrongShape: Int

    init(defect: Int, random: inout CounterRandom) {
        func uniform(_ low: Double, _ high: Double) -> Double { low + (high - low) * random.uniform() }
        self.defect = defect
        center = [uniform(-0.15, 0.15), uniform(-0.15, 0.15)]
        scale = uniform(0.85, 1.1)
        let quarterTurns = Double(1 + Int(uniform(0, 3))) * .pi / 2
        angle = uniform(-0.2, 0.2) + (defect == 1 ? quarterTurns : 0)
        let bright = uniform(0.55, 0.95)
        plate = Self.color(hue: uniform(0, 1), saturation: uniform(0.1, 0.6), value: bright)
        print = plate * uniform(0.1, 0.35)
        let dark = uniform(0.1, 0.5), hue = uniform(0, 1)
        ground = (
            Self.color(hue: hue, saturation: uniform(0, 0.5), value: dark),
            Self.color(hue: hue, saturation: uniform(0, 0.5), value: dark + uniform(0.05, 0.3))
        )
        texture = Int(uniform(0, 3))
        frequency = uniform(5, 12)
        direction = uniform(0, 2 * .pi)
        let lightAngle = uniform(0, 2 * .pi), strength = uniform(0, 0.25)
        light = [strength * cos(lightAngle), strength * sin(lightAngle)]
        noise = uniform(0.01, 0.04)
        cutDirection = uniform(0, 2 * .pi)
        cutDepth = uniform(-0.05, 0.12)
        let spotCount = 2 + Int(uniform(0, 3))
        spots = (0..<spotCount).map { _ in ([uniform(-0.4, 0.4), uniform(-0.5, 0.5)], uniform(0.14, 0.26)) }
        stain = Self.color(hue: uniform(0, 1), saturation: uniform(0.2, 0.8), value: uniform(0.05, 0.3))
        wrongShape = Int(uniform(0, 3))
    }

    private static func color(hue: Double, saturation: Double, value: Double) -> Color {
        func channel(_ n: Double) -> Double {
            let k = (n + hue * 6).truncatingRemainder(dividingBy: 6)
            return value * (1 - saturation * max(0, min(k, 4 - k, 1)))
        }
        return [channel(5), channel(3), channel(1)]
    }

    /// What lies at a point of the part's own frame: 0 ground, 1 plate, 2 print.
    private func material(_ p: SIMD2<Double>, defect: Int) -> Int {
        if defect == 4 {
            switch wrongShape {
            case 0: return (0.3...0.62).contains((p * p).sum().squareRoot()) ? 1 : 0  // a ring
            case 1: return min(abs(p.x), abs(p.y)) < 0.2 && max(abs(p.x), abs(p.y)) < 0.65 ? 1 : 0  // a cross
            default: return p.y < 0.5 && p.y > -0.6 + 2 * abs(p.x) ? 1 : 0  // a wedge
            }
        }
        guard abs(p.x) < 0.5, abs(p.y) < 0.68 else { return 0 }
        if p.x - 0.5 + (p.y - 0.68) > -0.38 { return 0 }  // the chamfered corner, bottom right
        if defect == 2, p.x * cos(cutDirection) + p.y * sin(cutDirection) > cutDepth { return 0 }
        let hole = p - SIMD2(-0.2, -0.42)
        if (hole * hole).sum() < 0.13 * 0.13 { return defect == 3 ? 1 : 0 }
        if defect != 3 {
            if (-0.38...0.38).contains(p.x), (-0.15...0.02).contains(p.y) { return 2 }
            if (-0.38...0.08).contains(p.x), (0.17...0.34).contains(p.y) { return 2 }
        }
        return 1
    }

    private func partFrame(_ p: SIMD2<Double>, angle: Double) -> SIMD2<Double> {
        let q = (p - center) / scale
        return [q.x * cos(angle) + q.y * sin(angle), -q.x * sin(angle) + q.y * cos(angle)]
    }

    private func groundColor(_ p: SIMD2<Double>) -> Color {
        let along = p.x * cos(direction) + p.y * sin(direction),
            across = -p.x * sin(direction) + p.y * cos(direction)
        let mix: Double =
            switch texture {
            case 0: 0.5 + 0.5 * sin(frequency * along)  // stripes
            case 1: sin(frequency * along) * sin(frequency * across) > 0 ? 1 : 0  // checks
            default:  // clouds
                0.5 + 0.25
                    * (sin(frequency * along + 2 * sin(3 * across)) + sin(0.7 * frequency * across + 1))
            }
        return ground.0 * (1 - mix) + ground.1 * mix
    }

    private func isStained(_ p: SIMD2<Double>) -> Bool {
        defect == 5 && spots.contains { (($0.center - p) * ($0.center - p)).sum() < $0.radius * $0.radius }
    }

    /// Pixels (RGB), and the mask of what differs from a sound part.
    func rendered(side: Int, random: inout CounterRandom) -> (pixels: [UInt8], mask: [UInt8]) {
        var pixels = [UInt8](), mask = [UInt8]()
        pixels.reserveCapacity(side * side * 3)
        mask.reserveCapacity(side * side)
        let samples = 2, share = 1 / Double(samples * samples)
        for row in 0..<side {
            for column in 0..<side {
                var color = Color.zero, differs = 0
                for sub in 0..<(samples * samples) {
                    let x = (Double(column) + (Double(sub % samples) + 0.5) / Double(samples)) / Double(side)
                    let y = (Double(row) + (Double(sub / samples) + 0.5) / Double(samples)) / Double(side)
                    let p = SIMD2(2 * x - 1, 2 * y - 1), q = partFrame(p, angle: angle)
                    let here = material(q, defect: defect), stained = isStained(q)
                    if stained {
                        color += stain
                    } else {
                        color += here == 0 ? groundColor(p) : here == 1 ? plate : print
                    }
                    let sound = material(defect == 1 ? partFrame(p, angle: 0) : q, defect: 0)
                    if stained || here != sound { differs += 1 }
                }
                let shade =
                    1 + light.x * (Double(column) / Double(side) - 0.5) + light.y
                    * (Double(row) / Double(side) - 0.5)
                color *= share * shade
                for channel in 0..<3 {
                    let value = color[channel] + noise * random.normal()
                    pixels.append(UInt8(max(0, min(255, (255 * value).rounded()))))
                }
                mask.append(2 * differs >= samples * samples ? 1 : 0)
            }
        }
        return (pixels, mask)
    }
}
