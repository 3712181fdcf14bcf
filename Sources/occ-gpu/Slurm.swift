import OneClass

/// What Slurm says of a job in its environment.
enum Slurm {
    /// The part of the runs that falls to a job of an array; nil outside of one.
    static func shard(_ environment: [String: String]) -> ProtocolRun.Shard? {
        func number(_ name: String) -> Int? { environment["SLURM_ARRAY_TASK_\(name)"].flatMap(Int.init) }
        guard let id = number("ID"), let count = number("COUNT"), count > 1 else { return nil }
        // The numbers of an array may begin anywhere, and go on in steps.
        let first = number("MIN") ?? 0, step = max(1, number("STEP") ?? 1)
        return ProtocolRun.Shard((id - first) / step + 1, of: count)
    }
}
