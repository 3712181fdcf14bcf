import Foundation
import OCCEngine

/// Photographs, so to speak, of a wheel that fills the picture: turned anyhow, seen a little from the side, under
/// bright or dim light from anywhere. Defects: a cut in the tire, a bulge, worn tread, a nail, a missing bolt.
package struct BuiltinWheel: BuiltinPictures {
    package let side: Int
    package let seed: UInt64

    package static let name = "builtin:wheel"
    package static let classes = ["good", "cut", "bulge", "worn tread", "nail", "missing bolt"]
    package static let trainCount = 200, testGood = 60, testDefect = 20
    package static let defaultSide = 128

    package init(side: Int, seed: UInt64) {
        self.side = side
        self.seed = seed
    }

    package func picture(defect: Int, random: inout CounterRandom) -> (pixels: [UInt8], mask: [UInt8]) {
        let wheel = Wheel(defect: defect, random: &random)
        let light = SceneLight(exposures: 0.6...1.3, fall: 0...0.8, random: &random)
        return photograph(side: side, light: light, random: &random) { wheel.material(at: $0) }
    }
}

private typealias Point = SIMD2<Double>

/// The wheel and the floor. Radii are shares of the wheel's own.
private struct Wheel {
    let defect: Int
    // The camera, and the floor.
    let center: Point
    let angle: Double, radius: Double
    let tilt: Double, tiltDirection: Double
    let floor: Double
    // The defect: at which angle and radius, how large, which way.
    let at: Double, out: Double, size: Double, direction: Double

    private static let spokes = 5, blocks = 40

    init(defect: Int, random: inout CounterRandom) {
        func uniform(_ low: Double, _ high: Double) -> Double { low + (high - low) * random.uniform() }
        self.defect = defect
        center = [uniform(0.46, 0.54), uniform(0.46, 0.54)]
        angle = uniform(0, 2 * .pi)
        radius = uniform(0.42, 0.47)
        tilt = uniform(0.9, 1)
        tiltDirection = uniform(0, 2 * .pi)
        floor = uniform(0.35, 0.6)
        // As many random numbers for each defect: the same wheel without it can be drawn.
        let bolt = Double(Int(uniform(0, Double(Self.spokes)))), anywhere = uniform(0, 2 * .pi)
        let onWall = uniform(0.64, 0.8)
        at = defect == 5 ? (bolt + 0.5) * 2 * .pi / Double(Self.spokes) : anywhere
        out = defect == 5 ? 0.24 : defect == 3 ? 0.93 : onWall
        size = uniform(0.8, 1.25)
        direction = uniform(0, .pi)
    }

    func material(at p: Point) -> SceneMaterial {
        let d = (p - center) / radius
        // Seen from the side, the wheel is shorter one way.
        let u = (d.x * cos(tiltDirection) + d.y * sin(tiltDirection)) / tilt
        let v = d.y * cos(tiltDirection) - d.x * sin(tiltDirection)
        let r = (u * u + v * v).squareRoot(), phi = atan2(v, u) - angle
        let q = Point(r * cos(phi), r * sin(phi)), spot = Point(out * cos(at), out * sin(at)), from = q - spot
        let isNear = { (from * from).sum() < $0 * $0 }
        var result: SceneMaterial
        switch r {
        case ..<0.46: result = rim(r, phi, q)
        case ..<0.86: result = wall(r, phi)
        case ..<1: result = tread(r, phi, isWorn: defect == 3 && isNear(0.2 * size))
        default: return SceneMaterial(color: SIMD3(0.95, 1, 1.02) * floor)
        }
        let along = from.x * cos(direction) + from.y * sin(direction)
        let across = from.y * cos(direction) - from.x * sin(direction)
        switch defect {
        case 1 where abs(along) < 0.13 * size && abs(across - 0.8 * along * along) < 0.022:
            result.color = SIMD3(repeating: 0.02)
            result.height -= 0.015
            result.gloss = 0
            result.isDefect = true
        case 2 where isNear(0.14 * size):
            let rest = 1 - (from * from).sum() / pow(0.14 * size, 2)
            result.height += 0.035 * rest
            result.isDefect = true
        case 3: result.isDefect = isNear(0.2 * size) && r >= 0.86
        case 4 where isNear(0.035 * size):
            result = SceneMaterial(height: result.height + 0.01, color: [0.7, 0.7, 0.72], gloss: 0.5)
            result.isDefect = true
        case 5: result.isDefect = isNear(0.055)
        default: break
        }
        return result
    }

    /// Steel with a hub, openings between the spokes, and a bolt at the foot of each opening.
    private func rim(_ r: Double, _ phi: Double, _ q: Point) -> SceneMaterial {
        let turn = 2 * .pi / Double(Self.spokes)
        let place = phi - (phi / turn).rounded(.down) * turn, aside = abs(place - turn / 2)
        let steel = SIMD3(0.62, 0.63, 0.66)
        if r < 0.09 { return SceneMaterial(height: 0.02, color: steel * 0.4) }
        let number = (phi / turn).rounded(.down), middle = (number + 0.5) * turn
        let d = q - 0.24 * Point(cos(middle), sin(middle)), distance = (d * d).sum().squareRoot()
        if distance < 0.055 {
            let lost = defect == 5 && abs(remainder(middle - at, 2 * .pi)) < 0.1
            return lost
                ? SceneMaterial(height: 0.01, color: SIMD3(repeating: 0.06))
                : SceneMaterial(
                    height: 0.03 + 0.012 * (1 - pow(distance / 0.055, 2)), color: steel * 0.8, gloss: 0.3)
        }
        if (0.31...0.42).contains(r), aside * r < 0.14 {
            return SceneMaterial(height: 0, color: SIMD3(repeating: 0.08))
        }
        return SceneMaterial(height: 0.03 - 0.03 * (r - 0.1), color: steel, gloss: 0.25)
    }

    /// Rubber with two ridges, and raised marks that repeat.
    private func wall(_ r: Double, _ phi: Double) -> SceneMaterial {
        var height = 0.035 + 0.02 * sin((r - 0.46) / 0.4 * .pi)
        for ridge in [0.52, 0.83] { height += 0.006 * exp(-pow((r - ridge) / 0.012, 2)) }
        let mark = (phi * 12 / (2 * .pi)) - (phi * 12 / (2 * .pi)).rounded(.down)
        if (0.6...0.66).contains(r), mark < 0.55, !(0.2...0.3).contains(mark) { height += 0.006 }
        return SceneMaterial(height: height, color: [0.16, 0.16, 0.17], gloss: 0.08)
    }

    /// Blocks of rubber, and the grooves between them.
    private func tread(_ r: Double, _ phi: Double, isWorn: Bool) -> SceneMaterial {
        let turn = phi * Double(Self.blocks) / (2 * .pi) + 3 * (r - 0.86)
        let isGroove = turn - turn.rounded(.down) < 0.35
        if isWorn { return SceneMaterial(height: 0.028, color: [0.2, 0.2, 0.2], gloss: 0.12) }
        return SceneMaterial(
            height: isGroove ? 0.01 : 0.032, color: SIMD3(repeating: isGroove ? 0.07 : 0.15), gloss: 0.04)
    }
}
