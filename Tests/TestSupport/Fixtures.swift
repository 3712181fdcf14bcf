import Foundation
import OCCEngine
@_exported import OCCSelfTest

/// The files of Tests/Fixtures.
public func fixturePath(_ name: String) -> String {
    URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .appendingPathComponent("Fixtures/\(name)").path
}

/// Numbers in [0, 1) that depend on the name alone; the fixture scripts compute the same (SplitMix64,
/// FNV-1a).
public func namedUniforms(_ name: String, _ count: Int) -> [Double] {
    let start = name.utf8.reduce(UInt64(0xcbf2_9ce4_8422_2325)) { ($0 ^ UInt64($1)) &* 0x100_0000_01b3 }
    return (1...max(count, 1)).prefix(count).map { index in
        var z = start &+ UInt64(index) &* 0x9E37_79B9_7F4A_7C15
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        z ^= z >> 31
        return Double(z >> 40) / 16_777_216
    }
}

/// A parameter's or a statistic's values by its name, in PyTorch's shape; the fixture scripts compute the same.
public func namedWeights(_ name: String, _ shape: [Int]) -> [Float] {
    let u = namedUniforms(name, shape.reduce(1, *)), values: [Double]
    if name.hasSuffix("running_mean") {
        values = u.map { _ in 0 }
    } else if name.hasSuffix("running_var") {
        values = u.map { _ in 1 }
    } else if shape.count > 1 {
        let limit = (6 / Double(shape.dropFirst().reduce(1, *))).squareRoot()
        values = u.map { (2 * $0 - 1) * limit }
    } else {
        values = name.hasSuffix("weight") ? u.map { 0.5 + $0 } : u.map { 0.2 * ($0 - 0.5) }
    }
    return values.map(Float.init)
}

/// A folder that is gone when the test is over.
public final class TemporaryFolder {
    /// Where it is.
    public let path: String

    /// Makes a new, empty one.
    public init() throws {
        path = NSTemporaryDirectory() + "occ-gpu-tests-\(UUID().uuidString)"
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
    }

    deinit { try? FileManager.default.removeItem(atPath: path) }

    /// The path of a file in it.
    public func file(_ name: String) -> String { "\(path)/\(name)" }

    /// Writes a file, with the folders it needs.
    @discardableResult
    public func write(_ bytes: [UInt8], to name: String) throws -> String {
        let url = URL(fileURLWithPath: file(name))
        try FileManager.default.createDirectory(
            at: url.deletingLastPathComponent(), withIntermediateDirectories: true)
        try Data(bytes).write(to: url)
        return url.path
    }
}
