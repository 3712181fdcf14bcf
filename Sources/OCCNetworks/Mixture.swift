import CKernels
import OCCEngine

/// Appends what tells a restored batch from the batch, a row each: the relative distance |x - x~| / |x| and the cosine of x
/// and x~ (Zong et al., ICLR 2018, section 3.2); x, x~ [N,...] -> [N,2].
public func reconstructionFeatures(_ x: Tensor, restored: Tensor, in plan: PlanBuilder) throws -> Tensor {
    let x = try plan.singlePrecision(x), restored = try plan.singlePrecision(restored)
    let n = x.shape[0], y = plan.transient("reconstruction", [n, 2])
    let params = ck_rows_params(n: Int32(n), c: Int32(x.count / n), epsilon: 1e-12)
    try plan.reconstructionFeaturesForward(
        "reconstruction", y: y, x: x, restored: restored, params, flop: 8 * x.count)
    plan.recordBackward(of: y, from: [x, restored]) { pass in
        guard let dy = pass.gradient(of: y) else { return }
        let drestored = plan.transient("d \(restored.name)", restored.shape)
        let dx = plan.isDifferentiable(x) ? plan.transient("d \(x.name)", x.shape) : nil
        try plan.reconstructionFeaturesBackward(
            "reconstruction", drestored: drestored, dx: dx, dy: dy, x: x, restored: restored, params,
            flop: 16 * x.count)
        if plan.isDifferentiable(restored) { try pass.contribute(drestored, to: restored) }
        if let dx { try pass.contribute(dx, to: x) }
    }
    return y
}

/// The loss of a mixture of Gaussians whose parameters follow from a batch (Zong et al., ICLR 2018, equations 5 to 7):
///
///     N_k = sum_i m_ik,  phi_k = N_k / N,  mu_k = sum_i m_ik z_i / N_k
///     C_k = sum_i m_ik (z_i - mu_k)(z_i - mu_k)' / N_k + epsilon I
///     E(z) = -log sum_k phi_k N(z; mu_k, C_k)
///     loss = energy * mean_i E(z_i) + penalty * sum_kj 1 / C_k,jj
public struct MixtureLoss: Sendable, Equatable {
    /// The factor of the mean energy.
    public var energy: Double
    /// The factor of the sum of the inverse variances, which keeps the covariances regular.
    public var penalty: Double
    /// What is added to the variances.
    public var epsilon: Double

    /// The loss with these factors.
    public init(energy: Double, penalty: Double, epsilon: Double) {
        (self.energy, self.penalty, self.epsilon) = (energy, penalty, epsilon)
    }

    /// Appends the loss: z [N,D] and memberships [N,K], whose rows come to one -> a scalar and the energies [N]; D and K are
    /// 16 at most. Gradients flow to both. Where ranks share a batch, the mixture is that of all of it, and so are loss and
    /// energies.
    public func callAsFunction(_ z: Tensor, memberships: Tensor, in plan: PlanBuilder) throws -> (
        loss: Tensor, energies: Tensor
    ) {
        let ownZ = try plan.singlePrecision(z), ownMemberships = try plan.singlePrecision(memberships)
        let shape = try ownZ.shape(dimensions: 2, of: "mixture", "mixture_fit")
        let k = try ownMemberships.shape(dimensions: 2, of: "mixture", "mixture_fit")[1], d = shape[1]
        let ranks = plan.ranksTogether?.ranks ?? 1, n = ranks * shape[0]
        let z = try plan.ranksTogether.map { try gatherFromRanks(ownZ, $0, in: plan) } ?? ownZ
        let memberships =
            try plan.ranksTogether.map { try gatherFromRanks(ownMemberships, $0, in: plan) }
            ?? ownMemberships
        func params(times factor: Int = 1) -> ck_mixture_params {
            ck_mixture_params(
                n: Int32(n), d: Int32(d), k: Int32(k), epsilon: Float(epsilon),
                energy: Float(energy) * Float(factor), penalty: Float(penalty) * Float(factor))
        }
        func parameters(_ prefix: String) -> (share: Tensor, mean: Tensor, covariance: Tensor) {
            (
                plan.transient("\(prefix)share", [k]), plan.transient("\(prefix)mean", [k, d]),
                plan.transient("\(prefix)covariance", [k, d, d])
            )
        }
        let own = parameters(""), loss = plan.transient("loss", [1]),
            energies = plan.transient("energies", [n])
        try plan.mixtureFit(
            "mixture", share: own.share, mean: own.mean, covariance: own.covariance, z: z,
            membership: memberships, params(), flop: 2 * n * k * (d + d * d))
        try plan.mixtureLossForward(
            "mixture", loss: loss, energy: energies, z: z, share: own.share, mean: own.mean,
            covariance: own.covariance, params(), flop: 2 * n * k * d * d)
        plan.recordBackward(of: loss, from: [ownZ, ownMemberships]) { pass in
            // Gradients are averaged over ranks: of the sum of their losses, which are all the same.
            let slopes = parameters("d "), direct = plan.transient("d \(z.name)", z.shape)
            try plan.mixtureLossBackward(
                "mixture", dz: direct, dshare: slopes.share, dmean: slopes.mean,
                dcovariance: slopes.covariance, z: z, share: own.share, mean: own.mean,
                covariance: own.covariance, energy: energies, params(times: ranks), flop: 6 * n * k * d * d)
            let through = plan.transient("d \(z.name)", z.shape)
            let dmemberships = plan.transient("d \(memberships.name)", memberships.shape)
            try plan.mixtureFitBackward(
                "mixture", dz: through, dmembership: dmemberships, dshare: slopes.share, dmean: slopes.mean,
                dcovariance: slopes.covariance, z: z, membership: memberships, share: own.share,
                mean: own.mean, covariance: own.covariance, params(), flop: 8 * n * k * d * d)
            for (gradient, tensor) in [(direct, ownZ), (through, ownZ), (dmemberships, ownMemberships)]
            where plan.isDifferentiable(tensor) {
                try pass.contribute(try ownRows(of: gradient, in: plan), to: tensor)
            }
        }
        return (loss, energies)
    }
}

/// Appends this rank's part of rows [ranks * N,...] that are gathered from all ranks; [N,...].
private func ownRows(of x: Tensor, in plan: PlanBuilder) throws -> Tensor {
    guard let share = plan.ranksTogether else { return x }
    let count = x.count / share.ranks, first = share.rank * count
    /// The values from a place on, or those before it.
    func cut(_ x: Tensor, at place: Int, keepsFirst: Bool) throws -> Tensor {
        guard place > 0, place < x.count else { return x }
        let first = plan.transient(x.name, [1, place]), second = plan.transient(x.name, [1, x.count - place])
        let params = ck_dense_params(n: 1, c: Int32(place), k: Int32(x.count - place), math: 0)
        try plan.concatenateBackward(
            "own rows", da: first, db: second, dy: plan.reshaped(x, [1, x.count]), params)
        return keepsFirst ? first : second
    }
    let rest = try cut(x, at: first, keepsFirst: false)
    let own = try cut(rest, at: count, keepsFirst: true)
    return plan.reshaped(own, [x.shape[0] / share.ranks] + x.shape.dropFirst())
}
