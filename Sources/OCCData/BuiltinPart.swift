import Foundation
import OCCEngine

/// Photographs, so to speak, of a small steel bracket, lying anyhow on a bench under a lamp that lights one side of
/// it more. Defects: bent, scratched, with a hole not punched, rusty, chipped.
package struct BuiltinPart: BuiltinPictures {
    package let side: Int
    package let seed: UInt64

    package static let name = "builtin:part"
    package static let classes = ["good", "bent", "scratch", "missing hole", "rust", "chip"]
    package static let trainCount = 200, testGood = 60, testDefect = 20
    package static let defaultSide = 128

    package init(side: Int, seed: UInt64) {
        self.side = side
        self.seed = seed
    }

    package func picture(defect: Int, random: inout CounterRandom) -> (pixels: [UInt8], mask: [UInt8]) {
        let bracket = Bracket(defect: defect, random: &random)
        let light = SceneLight(exposures: 0.55...1.05, fall: 0.3...1.6, random: &random)
        return photograph(side: side, light: light, random: &random) { bracket.material(at: $0) }
    }
}

private typealias Point = SIMD2<Double>

/// The bracket and the bench. Lengths in its own frame are in units of the picture's side, before its scale.
private struct Bracket {
    let defect: Int
    // Its pose, and the bench.
    let center: Point
    let angle: Double, scale: Double
    let bench: Double, grain: Double, grainDirection: Double
    // The defect: where, how large, which way, how strong.
    let spot: Point
    let size: Double, direction: Double, isDark: Bool
    let waves: [Double]

    init(defect: Int, random: inout CounterRandom) {
        func uniform(_ low: Double, _ high: Double) -> Double { low + (high - low) * random.uniform() }
        self.defect = defect
        center = [uniform(0.36, 0.64), uniform(0.36, 0.64)]
        angle = uniform(0, 2 * .pi)
        scale = uniform(0.95, 1.05)
        bench = uniform(0.3, 0.5)
        grain = uniform(40, 60)
        grainDirection = uniform(0, 2 * .pi)
        // Along the arms, so that the defect is on steel.
        let along = uniform(-0.16, 0.16)
        spot = along < 0 ? [-0.13, 0.02 - along * 0.9] : [along, -0.13]
        size = uniform(0.8, 1.25)
        direction = uniform(0, 2 * .pi)
        isDark = uniform(0, 1) < 0.5
        waves = (0..<3).map { _ in uniform(0, 2 * .pi) }
    }

    func material(at p: Point) -> SceneMaterial {
        let d = (p - center) / scale
        let q = Point(d.x * cos(angle) + d.y * sin(angle), -d.x * sin(angle) + d.y * cos(angle))
        let depth = depth(q, defect: defect), sound = depth == 0 ? 0 : depth
        var result: SceneMaterial
        if sound > 0 {
            // A rounded edge, then a flat top.
            let rise = min(1, sound / 0.015)
            result = SceneMaterial(
                height: 0.012 + 0.01 * (rise * (2 - rise)), color: [0.6, 0.62, 0.65], gloss: 0.25)
            mark(q, &result)
        } else {
            let along = p.x * cos(grainDirection) + p.y * sin(grainDirection)
            let across = p.y * cos(grainDirection) - p.x * sin(grainDirection)
            let wood = 0.025 * sin(grain * across + 2 * sin(5 * along))
            // The bench is darker close to the part, which takes light from it.
            let shadow = 1 - 0.35 * exp(sound / 0.02)
            result = SceneMaterial(color: SIMD3(1.05, 1, 0.95) * (bench + wood) * shadow)
        }
        if [1, 3, 5].contains(defect) {
            result.isDefect = (self.depth(q, defect: 0) > 0) != (sound > 0)
        }
        return result
    }

    /// How far a point lies within the bracket: an L with a hole in each arm and a slot; below 0 outside.
    private func depth(_ point: Point, defect: Int) -> Double {
        var q = point
        if defect == 1, q.x > 0.04 {
            // The long arm is bent from there on.
            let turn = (isDark ? 1 : -1) * 0.3 * size, d = q - Point(0.04, -0.13)
            q =
                Point(0.04, -0.13)
                + Point(d.x * cos(turn) - d.y * sin(turn), d.x * sin(turn) + d.y * cos(turn))
        }
        func box(_ center: Point, _ half: Point) -> Double {
            let d = Point(abs(q.x - center.x), abs(q.y - center.y)) - half + 0.02
            let out = Point(max(0, d.x), max(0, d.y))
            return 0.02 - (out * out).sum().squareRoot() - min(0, max(d.x, d.y))
        }
        func disk(_ center: Point, _ radius: Double) -> Double {
            let d = q - center
            return radius - (d * d).sum().squareRoot()
        }
        var inside = box([0, -0.13], [0.2, 0.06])
        if point.x <= 0.04 { inside = max(inside, box([-0.13, 0.02], [0.07, 0.19])) }
        if defect != 3 { inside = min(inside, -disk([0.13, -0.13], 0.03)) }
        inside = min(inside, -disk([-0.13, 0.14], 0.03))
        inside = min(inside, -box([-0.02, -0.13], [0.05, 0.02]))
        if defect == 5 {
            let edge = spot + (spot.x == -0.13 ? Point(0.07, 0) : Point(0, -0.06))
            inside = min(inside, -disk(edge, 0.03 * size))
        }
        return inside
    }

    /// Scratches or rusts the steel at a point.
    private func mark(_ q: Point, _ result: inout SceneMaterial) {
        let d = q - spot
        if defect == 2 {
            let along = d.x * cos(direction) + d.y * sin(direction)
            let across = -d.x * sin(direction) + d.y * cos(direction)
            guard abs(along) < 0.07 * size, abs(across - 1.5 * along * along) < 0.006 else { return }
            result.color = SIMD3(repeating: isDark ? 0.25 : 0.9)
            result.height -= 0.004
            result.isDefect = true
        } else if defect == 4 {
            let angle = atan2(d.y, d.x)
            let wave = waves.enumerated().reduce(1.0) {
                $0 + 0.15 * sin(Double($1.offset + 2) * angle + $1.element)
            }
            guard (d * d).sum().squareRoot() < 0.045 * size * wave else { return }
            result.color = result.color * 0.35 + SIMD3(0.45, 0.24, 0.1) * 0.65
            result.gloss = 0.03
            result.isDefect = true
        }
    }
}
