import CKernels
import Foundation

/// The augmentations from their descriptions, in double precision; the random numbers are the counters'
/// (Philox is tested against its published vectors by itself).
public enum AugmentationReference {
    /// One image, H x W x C.
    public typealias Image = [Double]

    static func uniform(_ bits: UInt32) -> Double { Double(bits >> 8) / 16_777_216 }
    static func below(_ bits: UInt32, _ n: Int) -> Int { Int((UInt64(bits) * UInt64(n)) >> 32) }

    static func numbers(_ step: ck_step_state, _ sample: Int, _ stream: UInt32) -> [UInt32] {
        let v = ck_philox(step.seed, step.step, UInt32(truncatingIfNeeded: sample), stream).v
        return [v.0, v.1, v.2, v.3]
    }

    /// Applies `body` to each image of a batch.
    public static func each(_ x: [Double], _ p: ck_image_params, _ body: (Int, Image) -> Image) -> [Double] {
        let size = Int(p.h * p.w * p.c)
        return (0..<Int(p.n)).flatMap { body($0, Array(x[$0 * size..<($0 + 1) * size])) }
    }

    /// Mirror first, then quarter turns counter-clockwise, each done literally.
    public static func dihedral(_ image: Image, transform: Int, side: Int, channels: Int) -> Image {
        func moved(_ image: Image, _ source: (Int, Int) -> (Int, Int)) -> Image {
            var result = image
            for row in 0..<side {
                for column in 0..<side {
                    let (r, c) = source(row, column)
                    for k in 0..<channels {
                        result[(row * side + column) * channels + k] = image[(r * side + c) * channels + k]
                    }
                }
            }
            return result
        }
        var result = transform % 2 == 1 ? moved(image) { ($0, side - 1 - $1) } : image
        for _ in 0..<transform / 2 { result = moved(result) { ($1, side - 1 - $0) } }
        return result
    }

    public static func crop(_ image: Image, _ p: ck_image_params, _ step: ck_step_state, _ sample: Int)
        -> Image
    {
        let r = numbers(step, sample, p.stream), (h, w, c) = (Int(p.h), Int(p.w), Int(p.c))
        let smallest = Int((Double(p.minimum) * Double(h)).rounded(.up))
        let side = smallest + below(r[0], h - smallest + 1)
        let top = below(r[1], h - side + 1), left = below(r[2], w - side + 1)
        func at(_ row: Int, _ column: Int, _ k: Int) -> Double {
            image[((top + row) * w + left + column) * c + k]
        }
        var result: Image = []
        for row in 0..<h {
            let y = min(max((Double(row) + 0.5) * Double(side) / Double(h) - 0.5, 0), Double(side - 1))
            for column in 0..<w {
                let x = min(max((Double(column) + 0.5) * Double(side) / Double(w) - 0.5, 0), Double(side - 1))
                let (i, j) = (Int(y), Int(x)), (i1, j1) = (min(i + 1, side - 1), min(j + 1, side - 1))
                let (fy, fx) = (y - Double(i), x - Double(j))
                for k in 0..<c {
                    result.append(
                        (1 - fy) * ((1 - fx) * at(i, j, k) + fx * at(i, j1, k))
                            + fy * ((1 - fx) * at(i1, j, k) + fx * at(i1, j1, k)))
                }
            }
        }
        return result
    }

    public static func flip(_ image: Image, _ p: ck_image_params, _ step: ck_step_state, _ sample: Int)
        -> Image
    {
        guard uniform(numbers(step, sample, p.stream)[0]) < Double(p.probability) else { return image }
        let (w, c) = (Int(p.w), Int(p.c))
        return image.indices.map { i in
            let (row, column, k) = (i / (w * c), i / c % w, i % c)
            return image[(row * w + w - 1 - column) * c + k]
        }
    }

    private static func luma(_ image: Image, _ pixel: Int) -> Double {
        0.299 * image[3 * pixel] + 0.587 * image[3 * pixel + 1] + 0.114 * image[3 * pixel + 2]
    }

    /// RGB -> HSV -> RGB by the textbook's six sectors.
    static func turnHue(_ rgb: [Double], by turns: Double) -> [Double] {
        let high = rgb.max()!, low = rgb.min()!, range = high - low
        guard range > 0 else { return rgb }
        let sector: Double =
            if rgb[0] == high { (rgb[1] - rgb[2]) / range } else if rgb[1] == high {
                2 + (rgb[2] - rgb[0]) / range
            } else { 4 + (rgb[0] - rgb[1]) / range }
        var hue = sector / 6 + turns
        hue -= hue.rounded(.down)
        let h6 = hue * 6, whole = Int(h6.rounded(.down)) % 6, f = h6 - h6.rounded(.down)
        let q = high - range * f, t = low + range * f
        return [
            [high, t, low], [q, high, low], [low, high, t], [low, q, high], [t, low, high], [high, low, q],
        ][whole]
    }

    public static func jitter(_ image: Image, _ p: ck_image_params, _ step: ck_step_state, _ sample: Int)
        -> Image
    {
        let r = numbers(step, sample, p.stream), o = numbers(step, sample | 0x8000_0000, p.stream)
        func strength(_ value: Float, _ bits: UInt32) -> Double { Double(value) * (2 * uniform(bits) - 1) }
        let brightness = strength(p.brightness, r[0]), contrast = 1 + strength(p.contrast, r[1])
        let saturation = 1 + strength(p.saturation, r[2]), hue = strength(p.hue, r[3])
        var order = [0, 1, 2, 3], image = image
        for i in stride(from: 3, to: 0, by: -1) { order.swapAt(i, below(o[i], i + 1)) }
        let pixels = image.count / 3
        for kind in order {
            switch kind {
            case 0: image = image.map { $0 + brightness }
            case 1:
                let mean = (0..<pixels).reduce(0) { $0 + luma(image, $1) } / Double(pixels)
                image = image.map { mean + contrast * ($0 - mean) }
            case 2:
                image = image.indices.map { i in
                    let gray = luma(image, i / 3)
                    return gray + saturation * (image[i] - gray)
                }
            default:
                image = (0..<pixels).flatMap { turnHue(Array(image[3 * $0..<3 * $0 + 3]), by: hue) }
            }
        }
        return image
    }

    public static func gray(_ image: Image, _ p: ck_image_params, _ step: ck_step_state, _ sample: Int)
        -> Image
    {
        guard uniform(numbers(step, sample, p.stream)[0]) < Double(p.probability) else { return image }
        return image.indices.map { luma(image, $0 / 3) }
    }

    /// As one two-dimensional sum over the clamped neighbourhood.
    public static func blur(_ image: Image, _ p: ck_image_params, _ step: ck_step_state, _ sample: Int)
        -> Image
    {
        let r = numbers(step, sample, p.stream), (h, w, c) = (Int(p.h), Int(p.w), Int(p.c))
        guard uniform(r[0]) < Double(p.probability) else { return image }
        let sigma = Double(p.minimum) + Double(p.maximum - p.minimum) * uniform(r[1]), reach = Int(p.taps) / 2
        let weights = (-reach...reach).map { exp(-0.5 * Double($0 * $0) / (sigma * sigma)) }
        let sum = weights.reduce(0, +)
        return image.indices.map { index in
            let (row, column, k) = (index / (w * c), index / c % w, index % c)
            var value = 0.0
            for i in -reach...reach {
                for j in -reach...reach {
                    let y = min(max(row + i, 0), h - 1), x = min(max(column + j, 0), w - 1)
                    value +=
                        weights[i + reach] * weights[j + reach] / (sum * sum) * image[(y * w + x) * c + k]
                }
            }
            return value
        }
    }

    public static func noise(_ image: Image, _ p: ck_image_params, _ step: ck_step_state, _ sample: Int)
        -> Image
    {
        image.indices.map { index in
            let r = numbers(step, sample, p.stream + UInt32(index / 4 + 1) << 12), pair = index % 4 / 2 * 2
            let radius = (-2 * log(1 - uniform(r[pair]))).squareRoot(),
                angle = 2 * Double.pi * uniform(r[pair + 1])
            return image[index] + Double(p.maximum) * radius * (index % 2 == 0 ? cos(angle) : sin(angle))
        }
    }
}
