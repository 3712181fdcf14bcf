import OCCEngine
import OCCNetworks

/// A training step whose batch goes through the network in parts, since all of it is too much for the memory; the
/// contrastive loss is over the whole batch (gradient cache: Gao et al., 2021). First the embeddings of every part, then
/// the loss and its gradient by each embedding, then every part once more for its gradients, which are added up.
///
/// Batch normalization sees a part, and takes its running statistics from the second time.
struct StepInParts {
    /// The number of parts, and of pairs in each.
    let count: Int, pairs: Int
    /// A part's embeddings, [2 * pairs, D], and the plan that gives them.
    let embed: Plan, embeddings: Tensor
    /// The loss over all parts: what it reads, [2 * count * pairs, D], and its gradient of that shape.
    let compare: Plan, all: Tensor, loss: Tensor, gradients: Tensor
    /// What the plan of a part's gradients reads: the gradient of its embeddings.
    let seed: Tensor
    /// The sum of the parts' gradients.
    let sum: Tensor
    /// The step itself, and the square of the gradient's L2 norm.
    let update: Plan, squaredGradientNorm: Tensor

    /// What a step leaves; plans share the place of what they keep.
    struct Result {
        /// The loss over the whole batch.
        let loss: Double
        /// The pooled features of the last part.
        let features: [Float]
    }

    /// Takes a step.
    ///
    /// - Parameters:
    ///   - gradient: the plan of a part's gradients.
    ///   - features: what it keeps of a part.
    ///   - stage: writes what a part's plans read.
    func run(
        _ program: Program, gradient: Plan, features: Tensor, stage: (Int) throws -> Void
    ) throws -> Result {
        let width = embeddings.shape[1], half = pairs * width, view = count * half
        var z = [Float](repeating: 0, count: all.count)
        for part in 0..<count {
            try stage(part)
            try embed.run()
            let own = try program.read(embeddings, of: embed)
            z.replaceSubrange(part * half..<(part + 1) * half, with: own[..<half])
            z.replaceSubrange(view + part * half..<view + (part + 1) * half, with: own[half...])
        }
        try program.write(z, to: all)
        try compare.run()
        let loss = Double(try program.read(loss, of: compare)[0])
        let dz = try program.read(gradients, of: compare)
        try program.write([Float](repeating: 0, count: sum.count), to: sum)
        for part in 0..<count {
            try stage(part)
            try program.write(
                Array(
                    dz[part * half..<(part + 1) * half] + dz[(view + part * half)..<view + (part + 1) * half]),
                to: seed)
            try gradient.run()
        }
        let result = Result(loss: loss, features: try program.read(features, of: gradient))
        try update.run()
        return result
    }
}
