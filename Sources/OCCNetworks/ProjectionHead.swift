import OCCEngine

/// The network between pooled features and the objective, dropped after training (Sohn et al., ICLR 2021,
/// section 3).
///
/// Every width but the last is Dense (no bias) + BatchNorm + ReLU; the last is linear, the embedding.
/// `logits` adds a linear classifier behind it.
public struct ProjectionHead: Sendable, Equatable {
    /// Outputs of the layers, the embedding's last; empty for features as they are.
    public var widths: [Int]
    /// Classes of the classifier behind the embedding; 0 for none.
    public var logits: Int

    /// A head of one layer for each width, and a classifier of `logits` classes, 0 for none.
    public init(widths: [Int], logits: Int) {
        self.widths = widths
        self.logits = logits
    }

    /// Appends the head to a plan: [N,D] -> logits [N,classes], or the embedding [N,widths.last] where there
    /// are none.
    public func callAsFunction(_ features: Tensor, in plan: PlanBuilder) throws -> Tensor {
        var x = features
        for (index, width) in widths.dropLast().enumerated() {
            x = try Dense("head.\(index)", units: width, bias: false)(x, in: plan)
            x = try BatchNorm("head.\(index).bn", relu: true)(x, in: plan)
        }
        // The reference gives the embedding a bias only when a classifier follows it.
        if let last = widths.last { x = try Dense("head.embed", units: last, bias: logits > 0)(x, in: plan) }
        return logits > 0 ? try Dense("head.logits", units: logits, bias: true)(x, in: plan) : x
    }
}
