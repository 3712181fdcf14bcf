import OCCEngine
import OCCNetworks

/// The weights of an encoder in a safetensors file, under torchvision's or timm's names.
struct GivenWeights {
    private let file: TensorFile
    private let path: String
    /// What the names in the file begin with, such as `backbone.`.
    private let prefix: String

    /// Names of classifiers, which an encoder does not have, and of counters of batches.
    private static func isNoEncoder(_ name: String) -> Bool {
        ["fc.", "classifier.", "head."].contains { name.hasPrefix($0) }
            || name.hasSuffix("num_batches_tracked")
    }

    /// Reads a file.
    ///
    /// - Throws: `OCCError` as `TensorFile`, with what makes a file of PyTorch's such a one.
    init(_ path: String) throws {
        self.path = path
        do { file = try TensorFile(contentsOf: path) } catch let error as OCCError
            where error.kind == .badData
        {
            let remedy: Wording =
                "Weights are given as safetensors: the page Given weights has the lines that write it."
            throw OCCError(.badData, error.problem, remedy: error.advice.map { $0 + " " + remedy } ?? remedy)
        }
        let mark = "conv1.weight"
        let starts = file.tensors.keys.filter { $0 == mark || $0.hasSuffix(".\(mark)") }
        prefix = String((starts.min { $0.count < $1.count } ?? mark).dropLast(mark.count))
    }

    /// Loads the weights of an encoder into a program, and leaves its other parameters as they are.
    ///
    /// - Parameter encoder: the parameters of an encoder alone.
    /// - Throws: `OCCError(.badData)` listing what is missing, of another type or shape, or left over; naming the first
    ///   array that no network that works has.
    func load(into program: Program, of encoder: ParameterLayout) throws {
        let wanted = encoder.parameters.map(\.name).filter { !$0.hasPrefix(InputNormalization.prefix + ".") }
        let shapes = Dictionary(
            uniqueKeysWithValues: try program.exportWeights().map { ($0.name, $0.shape) })
        let missing = wanted.filter { file.tensors[prefix + $0] == nil }
        let entries = wanted.compactMap { name in file.tensors[prefix + name].map { (name, $0) } }
        let untyped = entries.filter { $1.floats == nil }.map { "\($0) is \($1.type.rawValue)" }
        let misshapen = entries.compactMap { name, entry -> String? in
            guard let shape = shapes[name], entry.shape != shape else { return nil }
            return "\(name) is \(entry.shape), not \(shape)"
        }
        // A model has more than its encoder. Stages that the encoder was asked not to have are no sign of another network.
        let stages = Set(wanted.map { $0.prefix { $0 != "." } })
        let left = file.tensors.keys.compactMap { key -> String? in
            guard key.hasPrefix(prefix), !OneClassModel.isModel(file) else { return nil }
            let name = String(key.dropFirst(prefix.count))
            let isOther = name.hasPrefix("layer") && !stages.contains(name.prefix { $0 != "." })
            return wanted.contains(name) || Self.isNoEncoder(name) || isOther ? nil : name
        }.sorted()
        let wrong = [
            ("missing", missing), ("of another type than F32, F16 and BF16", untyped),
            ("of another shape", misshapen), ("not of the encoder", left),
        ].filter { !$1.isEmpty }.map { what, names in
            let shown = names.prefix(6).joined(separator: ", ")
            return "\(what): \(shown)" + (names.count > 6 ? " and \(names.count - 6) more" : "")
        }
        guard wrong.isEmpty else {
            let isOther = untyped.isEmpty || wrong.count > 1
            throw OCCError(
                .badData, "\(path): does not hold this encoder's weights; \(wrong.joined(separator: "; "))",
                remedy: !isOther
                    ? "Convert them to F32, as by tensor.float() in PyTorch."
                    : "Give the \(setting: "encoder"), \(setting: "width") and \(setting: "stem") that the "
                        + "weights are of: torchvision's and timm's have \(setting: "stem") large.")
        }
        for (name, entry) in entries {
            let isVariance = name.hasSuffix(".running_var")
            guard let wrong = entry.floats?.first(where: { !$0.isFinite || isVariance && $0 < 0 }) else {
                continue
            }
            throw OCCError(
                .badData,
                "\(path): tensor \(prefix + name) has values that \(wrong.isFinite ? "no variance has" : "are not finite"); "
                    + "the first is \(wrong)",
                remedy: "The network that it is of has diverged, or the file is damaged: give another.")
        }
        let given = Set(wanted)
        let others = Dictionary(
            uniqueKeysWithValues: try program.exportWeights().filter { !given.contains($0.name) }
                .map { ($0.name, $0) })
        try program.importWeights { name in others[name] ?? file.weights(prefix + name, as: name) }
    }
}
