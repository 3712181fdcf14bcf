import Foundation
import OCCEngine

/// What lies at a point of a built-in scene.
struct SceneMaterial {
    /// Above the ground, in units of the picture's side.
    var height = 0.0
    /// What it reflects, RGB in 0...1.
    var color: SIMD3<Double>
    /// How much of the light it mirrors, 0...1.
    var gloss = 0.0
    var isDefect = false
}

/// The light on a built-in scene: from one direction, brightest about one place, the same everywhere beside that.
struct SceneLight {
    /// Where it comes from; of length 1, the third component towards the camera.
    let direction: SIMD3<Double>
    /// The place it is brightest at, in units of the picture's side, and how fast it falls off from there.
    let center: SIMD2<Double>, fall: Double
    let exposure: Double, tint: SIMD3<Double>
    let noise: Double

    /// A light as one finds it in a workshop.
    ///
    /// - Parameters:
    ///   - exposures: how bright it may be.
    ///   - fall: how fast it may fall off.
    init(exposures: ClosedRange<Double>, fall: ClosedRange<Double>, random: inout CounterRandom) {
        func uniform(_ range: ClosedRange<Double>) -> Double {
            range.lowerBound + (range.upperBound - range.lowerBound) * random.uniform()
        }
        let azimuth = uniform(0...2 * .pi), elevation = uniform(0.6...1.2)
        direction = [cos(elevation) * cos(azimuth), cos(elevation) * sin(azimuth), sin(elevation)]
        center = [uniform(0...1), uniform(0...1)]
        self.fall = uniform(fall)
        exposure = uniform(exposures)
        let warm = uniform(-0.06...0.06)
        tint = [1 + warm, 1, 1 - warm]
        noise = uniform(0.008...0.02)
    }

    /// The light that a point of a slope sends to the camera.
    func reflected(by point: SceneMaterial, normal: SIMD3<Double>, at p: SIMD2<Double>) -> SIMD3<Double> {
        let d = p - center, level = exposure / (1 + fall * (d * d).sum())
        let facing = max(0, (normal * direction).sum())
        // Blinn's highlight: half way between the light and the camera.
        let half = direction + SIMD3(0, 0, 1), length = (half * half).sum().squareRoot()
        let mirror = pow(max(0, (normal * half).sum() / length), 24)
        let diffuse = point.color * (0.35 + 0.65 * facing / max(0.3, direction.z))
        return level * tint * (diffuse + SIMD3(repeating: point.gloss * mirror))
    }
}

/// Photographs a scene from above.
///
/// - Parameter point: what lies at a point; coordinates are in units of the picture's side, from its top left corner.
/// - Returns: pixels (RGB), and the mask of the defect.
func photograph(
    side: Int, light: SceneLight, random: inout CounterRandom, of point: (SIMD2<Double>) -> SceneMaterial
) -> (pixels: [UInt8], mask: [UInt8]) {
    let samples = 2, fine = side * samples, unit = 1 / Double(fine)
    func place(_ row: Int, _ column: Int) -> SIMD2<Double> {
        [(Double(column) + 0.5) * unit, (Double(row) + 0.5) * unit]
    }
    let points = (0..<fine * fine).map { point(place($0 / fine, $0 % fine)) }
    func slope(_ before: Int, _ after: Int, steps: Int) -> Double {
        (points[after].height - points[before].height) / (Double(max(1, steps)) * unit)
    }
    var pixels: [UInt8] = [], mask: [UInt8] = []
    pixels.reserveCapacity(side * side * 3)
    mask.reserveCapacity(side * side)
    for row in 0..<side {
        for column in 0..<side {
            var color = SIMD3<Double>.zero, defects = 0
            for sub in 0..<samples * samples {
                let y = row * samples + sub / samples, x = column * samples + sub % samples
                let (left, right) = (max(0, x - 1), min(fine - 1, x + 1))
                let (above, below) = (max(0, y - 1), min(fine - 1, y + 1))
                let across = slope(y * fine + left, y * fine + right, steps: right - left)
                let down = slope(above * fine + x, below * fine + x, steps: below - above)
                let raw = SIMD3(-across, -down, 1), here = points[y * fine + x]
                color += light.reflected(
                    by: here, normal: raw / (raw * raw).sum().squareRoot(), at: place(y, x))
                defects += here.isDefect ? 1 : 0
            }
            for channel in 0..<3 {
                let value = color[channel] / Double(samples * samples) + light.noise * random.normal()
                pixels.append(UInt8(max(0, min(255, (255 * value).rounded()))))
            }
            mask.append(2 * defects >= samples * samples ? 1 : 0)
        }
    }
    return (pixels, mask)
}
