import CKernels
import OCCEngine

/// Gathers a tensor from all ranks that share the plan's batch: x [blocks * n,...] -> [blocks * ranks * n,...], each
/// block in order of rank. No gradient flows.
func gatherFromRanks(_ x: Tensor, _ share: BatchShare, blocks: Int = 1, in plan: PlanBuilder) throws -> Tensor
{
    let y = plan.transient("all \(x.name)", [x.shape[0] * share.ranks] + x.shape.dropFirst())
    try plan.allGather(
        x.name, y: y, x: x,
        ck_collective_params(
            count: Int64(x.count / blocks), blocks: Int32(blocks), ranks: Int32(share.ranks)))
    return y
}

/// Replaces x by its mean over all ranks that share the plan's batch; nothing where one process has all of it.
public func averageOverRanks(_ x: Tensor, in plan: PlanBuilder) throws {
    guard let share = plan.share else { return }
    try plan.meanOverRanks(
        x.name, x: x, ck_collective_params(count: Int64(x.count), blocks: 1, ranks: Int32(share.ranks)),
        flop: x.count * share.ranks)
}
