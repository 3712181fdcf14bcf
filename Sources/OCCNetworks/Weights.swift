import Foundation
import OCCEngine

/// A named array in PyTorch's layout: filters [K,C,R,S], everything else as it is here.
public struct NamedWeights: Sendable {
    /// The name in saved files.
    public let name: String
    /// The extents in PyTorch's layout, outermost first.
    public let shape: [Int]
    /// The values, row-major.
    public let values: [Float]

    /// An array whose values fill `shape`.
    public init(name: String, shape: [Int], values: [Float]) {
        self.name = name
        self.shape = shape
        self.values = values
    }
}

extension Program {
    /// Draws every parameter from its initializer and zeroes the velocities. The draw depends on the seed and
    /// the parameter's name, not on what else the program holds.
    public func initializeParameters(seed: UInt64) throws {
        for parameter in layout.parameters {
            try write(parameter.initialValues(seed: seed), to: parameter.tensor)
        }
    }

    /// Weights and running statistics, in PyTorch's layout.
    public func exportWeights() throws -> [NamedWeights] {
        try layout.parameters.map { try export($0, $0.tensor) }
    }

    /// The optimizer's velocities, named as their parameters.
    public func exportVelocities() throws -> [NamedWeights] {
        try layout.parameters.filter { !$0.isStatistic }.map { try export($0, velocity(of: $0)) }
    }

    /// Adam's means of squared gradients, named as their parameters; empty with another optimizer.
    public func exportSquares() throws -> [NamedWeights] {
        guard keepsSquares else { return [] }
        return try layout.parameters.filter { !$0.isStatistic }.map { try export($0, squares(of: $0)) }
    }

    /// The gradients of the last step, named as their parameters.
    public func exportGradients() throws -> [NamedWeights] {
        try layout.parameters.filter { !$0.isStatistic }.map { try export($0, gradient(of: $0)) }
    }

    /// Loads weights and statistics by name.
    ///
    /// - Throws: `OCCError(.badData)` naming the first parameter that is missing or of another shape.
    public func importWeights(_ find: (String) throws -> NamedWeights?) throws {
        for parameter in layout.parameters { try load(parameter, into: parameter.tensor, find) }
    }

    /// Loads the velocities by parameter name.
    public func importVelocities(_ find: (String) throws -> NamedWeights?) throws {
        for parameter in layout.parameters where !parameter.isStatistic {
            try load(parameter, into: velocity(of: parameter), find)
        }
    }

    /// Loads Adam's means of squared gradients by parameter name; nothing with another optimizer.
    public func importSquares(_ find: (String) throws -> NamedWeights?) throws {
        guard keepsSquares else { return }
        for parameter in layout.parameters where !parameter.isStatistic {
            try load(parameter, into: squares(of: parameter), find)
        }
    }

    private func export(_ parameter: Parameter, _ tensor: Tensor) throws -> NamedWeights {
        let values = try read(tensor), shape = tensor.shape
        guard shape.count == 4 else {
            return NamedWeights(name: parameter.name, shape: shape, values: values)
        }
        let (k, taps, c) = (shape[0], shape[1] * shape[2], shape[3])
        return NamedWeights(
            name: parameter.name, shape: [k, c, shape[1], shape[2]],
            values: transposed(values, outer: k, rows: taps, columns: c))
    }

    private func load(_ parameter: Parameter, into tensor: Tensor, _ find: (String) throws -> NamedWeights?)
        throws
    {
        guard let found = try find(parameter.name) else {
            throw OCCError(.badData, "parameter \(parameter.name) is missing")
        }
        let shape = tensor.shape
        let expected = shape.count == 4 ? [shape[0], shape[3], shape[1], shape[2]] : shape
        guard found.shape == expected, found.values.count == tensor.count else {
            throw OCCError(.badData, "parameter \(parameter.name) has shape \(found.shape), not \(expected)")
        }
        guard found.values.allSatisfy(\.isFinite) else {
            throw OCCError(.badData, "parameter \(parameter.name) has values that are not finite")
        }
        let values =
            shape.count == 4
            ? transposed(found.values, outer: shape[0], rows: shape[3], columns: shape[1] * shape[2])
            : found.values
        try write(values, to: tensor)
    }
}

/// Transposes each of `outer` matrices of rows x columns.
private func transposed(_ values: [Float], outer: Int, rows: Int, columns: Int) -> [Float] {
    [Float](unsafeUninitializedCapacity: values.count) { out, count in
        for o in 0..<outer {
            let base = o * rows * columns
            for row in 0..<rows {
                for column in 0..<columns {
                    out[base + column * rows + row] = values[base + row * columns + column]
                }
            }
        }
        count = values.count
    }
}

extension Parameter {
    fileprivate func initialValues(seed: UInt64) -> [Float] {
        let shape = tensor.shape
        var random = CounterRandom(seed: seed, stream: RandomStream.parameter(name))
        switch initializer {
        case .zeros: return [Float](repeating: 0, count: tensor.count)
        case .ones: return [Float](repeating: 1, count: tensor.count)
        case .fanOut(let scale):
            let fanOut = shape[0] * shape[1..<(shape.count - 1)].reduce(1, *)
            // A normal cut at two deviations has 0.8796 of its deviation left.
            let deviation = (scale / Double(fanOut)).squareRoot() / 0.87962566103423978
            return (0..<tensor.count).map { _ in
                var value = random.normal()
                while abs(value) > 2 { value = random.normal() }
                return Float(value * deviation)
            }
        case .glorotUniform:
            let limit = (6 / Double(shape[0] + shape[1])).squareRoot()
            return (0..<tensor.count).map { _ in Float((2 * random.uniform() - 1) * limit) }
        case .constants(let values): return values
        }
    }
}
