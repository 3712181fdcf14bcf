import CKernels
import Foundation

/// The augmentations from their descriptions, in double precision; the random numbers are the counters'
/// (Philox is tested against its published vectors by itself).
public enum AugmentationReference {
    /// An image, H x W x C.
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

    /// Rotates by quarter turns counter-clockwise, then mirrors left to right, each done literally.
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
        var result = image
        for _ in 0..<transform / 2 { result = moved(result) { ($1, side - 1 - $0) } }
        return transform % 2 == 1 ? moved(result) { ($0, side - 1 - $1) } : result
    }

    /// Cuts out the square that the counters draw and resizes it to the whole, bilinearly.
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

    /// Mirrors the image left to right, or not, as the counters draw.
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

    /// Shifts the hue by a share of the color circle: RGB -> HSV -> RGB by the textbook's six sectors.
    static func shiftHue(_ rgb: [Double], by shift: Double) -> [Double] {
        let high = rgb.max()!, low = rgb.min()!, range = high - low
        guard range > 0 else { return rgb }
        let sector: Double =
            if rgb[0] == high { (rgb[1] - rgb[2]) / range } else if rgb[1] == high {
                2 + (rgb[2] - rgb[0]) / range
            } else { 4 + (rgb[0] - rgb[1]) / range }
        var hue = sector / 6 + shift
        hue -= hue.rounded(.down)
        let h6 = hue * 6, whole = Int(h6.rounded(.down)) % 6, f = h6 - h6.rounded(.down)
        let q = high - range * f, t = low + range * f
        return [
            [high, t, low], [q, high, low], [low, high, t], [low, q, high], [t, low, high], [high, low, q],
        ][whole]
    }

    /// Scales the saturation and clips it to 0...1: RGB -> HSV -> RGB by the textbook's six sectors. What is not
    /// above black has none.
    static func scaleSaturation(_ rgb: [Double], by factor: Double) -> [Double] {
        let high = rgb.max()!, range = high - rgb.min()!
        guard range > 0 else { return rgb }
        let saturation = min(1, max(0, (high > 0 ? range / high : 0) * factor)), low = high * (1 - saturation)
        let hue: Double =
            if rgb[0] == high { (rgb[1] - rgb[2]) / range } else if rgb[1] == high {
                2 + (rgb[2] - rgb[0]) / range
            } else { 4 + (rgb[0] - rgb[1]) / range }
        let h6 = hue < 0 ? hue + 6 : hue, sector = Int(h6) % 6, f = h6 - h6.rounded(.down)
        let falling = high - (high - low) * f, rising = low + (high - low) * f
        return [
            [high, rising, low], [falling, high, low], [low, high, rising], [low, falling, high],
            [rising, low, high], [high, low, falling],
        ][sector]
    }

    /// Jitters brightness, contrast, saturation and hue by the amounts and in the order that the counters
    /// draw.
    public static func jitter(_ image: Image, _ p: ck_image_params, _ step: ck_step_state, _ sample: Int)
        -> Image
    {
        jitter(
            image, [p.brightness, p.contrast, p.saturation, p.hue], numbers(step, sample, p.stream),
            numbers(step, sample | 0x8000_0000, p.stream))
    }

    /// - Parameters: `r` draws the amounts, `o` the order.
    private static func jitter(_ image: Image, _ strengths: [Float], _ r: [UInt32], _ o: [UInt32]) -> Image {
        func strength(_ value: Float, _ bits: UInt32) -> Double { Double(value) * (2 * uniform(bits) - 1) }
        let brightness = strength(strengths[0], r[0]), contrast = 1 + strength(strengths[1], r[1])
        let saturation = 1 + strength(strengths[2], r[2]), hue = strength(strengths[3], r[3])
        var order = [0, 1, 2, 3], image = image
        for i in stride(from: 3, to: 0, by: -1) { order.swapAt(i, below(o[i], i + 1)) }
        let pixels = image.count / 3
        for kind in order {
            switch kind {
            case 0: image = image.map { $0 + brightness }
            case 1:
                let means = (0..<3).map { channel -> Double in
                    let values = stride(from: channel, to: image.count, by: 3).map { image[$0] }
                    return values.reduce(0, +) / Double(pixels)
                }
                image = image.indices.map { means[$0 % 3] + contrast * (image[$0] - means[$0 % 3]) }
            case 2:
                image = (0..<pixels).flatMap {
                    scaleSaturation(Array(image[3 * $0..<3 * $0 + 3]), by: saturation)
                }
            default:
                image = (0..<pixels).flatMap { shiftHue(Array(image[3 * $0..<3 * $0 + 3]), by: hue) }
            }
        }
        return image
    }

    /// Applies CutPaste from its description: the pasted part, then every pixel of the image by itself.
    public static func cutPaste(
        _ image: Image, kind: Int, _ p: ck_cutpaste_params, _ step: ck_step_state, _ sample: Int
    ) -> Image {
        guard kind > 0 else { return image }
        let blocks = (0..<4).map { numbers(step, sample, p.stream + UInt32($0) << 12) }
        let (r, place) = (blocks[0], blocks[1]), (height, width) = (Int(p.h), Int(p.w))
        let h: Int, w: Int
        if kind == 1 {
            let share = Double(p.area_minimum) + Double(p.area_maximum - p.area_minimum) * uniform(r[0])
            let area = share * Double(height * width), a = Double(p.aspect), u = uniform(r[1])
            let aspect = r[2] >= 1 << 31 ? 1 + (1 / a - 1) * u : a + (1 - a) * u
            h = min(height, max(1, Int((area * aspect).squareRoot() + 0.5)))
            w = min(width, max(1, Int((area / aspect).squareRoot() + 0.5)))
        } else {
            func length(_ low: Int32, _ high: Int32, _ bits: UInt32) -> Int {
                min(height, width, Int(low) + below(bits, Int(high - low) + 1))
            }
            w = length(p.scar_width_minimum, p.scar_width_maximum, r[0])
            h = length(p.scar_length_minimum, p.scar_length_maximum, r[1])
        }
        let top = below(place[0], height - h + 1), left = below(place[1], width - w + 1)
        var part: Image = []
        for row in 0..<h {
            let start = ((top + row) * width + left) * 3
            part += image[start..<start + 3 * w]
        }
        part = jitter(part, [Float](repeating: p.jitter, count: 4), blocks[2], blocks[3])
        var result = image
        if kind == 1 {
            let top = below(place[2], height - h + 1), left = below(place[3], width - w + 1)
            for row in 0..<h {
                for k in 0..<3 * w { result[((top + row) * width + left) * 3 + k] = part[row * 3 * w + k] }
            }
            return result
        }
        let angle = Double(p.angle) * (2 * uniform(r[2]) - 1)
        let down = (abs(cos(angle)) * Double(h) + abs(sin(angle)) * Double(w)) / 2
        let across = (abs(sin(angle)) * Double(h) + abs(cos(angle)) * Double(w)) / 2
        func center(_ half: Double, _ size: Int, _ bits: UInt32) -> Double {
            let low = min(half, Double(size) / 2)
            return low + uniform(bits) * (Double(size) - 2 * low)
        }
        let cy = center(down, height, place[2]), cx = center(across, width, place[3])
        for index in 0..<height * width {
            let dy = Double(index / width) + 0.5 - cy, dx = Double(index % width) + 0.5 - cx
            let u = cos(angle) * dx + sin(angle) * dy, v = cos(angle) * dy - sin(angle) * dx
            func cover(_ length: Int, _ d: Double) -> Double {
                min(1, max(0, Double(length) / 2 + 0.5 - abs(d)))
            }
            let alpha = cover(w, u) * cover(h, v)
            let a = min(max(u + Double(w) / 2 - 0.5, 0), Double(w - 1))
            let b = min(max(v + Double(h) / 2 - 0.5, 0), Double(h - 1))
            for k in 0..<3 {
                func at(_ row: Int, _ column: Int) -> Double {
                    part[(min(row, h - 1) * w + min(column, w - 1)) * 3 + k]
                }
                let (i, j) = (Int(b), Int(a)), (fb, fa) = (b - Double(Int(b)), a - Double(Int(a)))
                let sample =
                    (1 - fb) * ((1 - fa) * at(i, j) + fa * at(i, j + 1))
                    + fb * ((1 - fa) * at(i + 1, j) + fa * at(i + 1, j + 1))
                result[3 * index + k] += alpha * (sample - result[3 * index + k])
            }
        }
        return result
    }

    /// Replaces the colors by their luma, or not, as the counters draw.
    public static func gray(_ image: Image, _ p: ck_image_params, _ step: ck_step_state, _ sample: Int)
        -> Image
    {
        guard uniform(numbers(step, sample, p.stream)[0]) < Double(p.probability) else { return image }
        return image.indices.map { luma(image, $0 / 3) }
    }

    /// Blurs, or not, as the counters draw: one two-dimensional sum over the clamped neighborhood.
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

    /// Adds normal noise of deviation `maximum` to every value (Box-Muller).
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
