/// How a parameter starts.
public enum Initializer: Sendable, Equatable {
    /// All zero.
    case zeros
    /// All one.
    case ones
    /// Truncated normal (at two deviations) of variance scale / fanOut, as Keras' VarianceScaling(scale,
    /// "fan_out").
    case fanOut(scale: Double)
    /// Uniform in +-sqrt(6 / (fanIn + fanOut)), Keras' and TensorFlow's default for dense layers.
    case glorotUniform
    /// These numbers, one an element.
    case constants([Float])
}

/// A named tensor that outlives a step: a weight, or a running statistic.
public struct Parameter: Sendable {
    /// The name in saved files: torchvision's for the encoder.
    public let name: String
    /// Its values in the arena.
    public let tensor: Tensor
    /// What its values are before training.
    public let initializer: Initializer
    /// A running statistic: saved and loaded like a weight, but not trained.
    public var isStatistic: Bool { tensor.region == .statistics }
}

/// The persistent part of the arena: parameters, and beside each its gradient and velocity at the same offset
/// of their own regions, so that one operation updates them all.
public struct ParameterLayout: Sendable {
    /// The weights and statistics in the order of their declaration.
    public private(set) var parameters: [Parameter] = []
    private var indices: [String: Int] = [:]
    private var inputs: [String: Tensor] = [:]
    private(set) var bytes: [Region: Int] = [:]
    /// The step-state block, `ck_step_state`.
    let stepState: Tensor

    init() {
        stepState = Tensor(name: "step", shape: [1], type: .stepState, region: .state, position: 0)
        bytes[.state] = Region.aligned(stepState.bytes)
    }

    /// The parameter of this name; declares it at the first mention.
    mutating func declare(
        _ name: String, shape: [Int], statistic: Bool, initializer: Initializer
    ) throws -> Parameter {
        if let index = indices[name] {
            let known = parameters[index]
            guard known.tensor.shape == shape else {
                throw OCCError(.failure, "parameter \(name) has shape \(known.tensor.shape), not \(shape)")
            }
            return known
        }
        let tensor = allocate(
            name, shape: shape, type: .float32, region: statistic ? .statistics : .parameters)
        let parameter = Parameter(name: name, tensor: tensor, initializer: initializer)
        indices[name] = parameters.count
        parameters.append(parameter)
        return parameter
    }

    /// The host-written tensor of this name; declares it at the first mention.
    mutating func input(_ name: String, shape: [Int], type: ElementType) throws -> Tensor {
        if let known = inputs[name] {
            guard known.shape == shape, known.type == type else {
                throw OCCError(.failure, "input \(name) has shape \(known.shape), not \(shape)")
            }
            return known
        }
        let tensor = allocate(name, shape: shape, type: type, region: .inputs)
        inputs[name] = tensor
        return tensor
    }

    /// A tensor at the end of a persistent region.
    private mutating func allocate(_ name: String, shape: [Int], type: ElementType, region: Region) -> Tensor
    {
        let tensor = Tensor(
            name: name, shape: shape, type: type, region: region, position: bytes[region, default: 0])
        bytes[region, default: 0] += Region.aligned(tensor.bytes)
        return tensor
    }

    /// The parameter of a name; nil where none is declared.
    public subscript(name: String) -> Parameter? { indices[name].map { parameters[$0] } }

    /// Floats in the parameter region, padding (always zero) included.
    var parameterFloats: Int { bytes[.parameters, default: 0] / 4 }

    /// The number of trained values.
    public var trainedCount: Int { parameters.filter { !$0.isStatistic }.reduce(0) { $0 + $1.tensor.count } }

    /// The tensor beside a parameter in another region.
    func beside(_ parameter: Tensor, in region: Region) -> Tensor {
        Tensor(
            name: "d \(parameter.name)", shape: parameter.shape, type: .float32, region: region,
            position: parameter.position)
    }
}
