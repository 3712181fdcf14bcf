import CKernels
import CRanks
import Foundation
import OneClass

/// The processes that a launcher (mpirun, srun) has started as one run.
package enum Ranks {
    /// What a launcher says of this process in its environment.
    package struct Launch: Equatable, Sendable {
        /// The launcher, as people call it.
        package let launcher: String
        /// This process's place, and how many were started together.
        package let rank: Int, ranks: Int
    }

    /// Launchers and the variables by which they number processes; those of MPI come first: Slurm's may be those of
    /// the step that Open MPI's helpers run in.
    private static let launchers = [
        ("Open MPI's mpirun", "OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE"),
        ("MPICH's mpirun", "PMI_RANK", "PMI_SIZE"),
        ("srun", "SLURM_PROCID", "SLURM_STEP_NUM_TASKS"),
    ]

    /// The launcher that started this process, by its environment; nil for a process by itself.
    ///
    /// - Throws: `OCCError(.usage)` where launchers contradict each other.
    package static func launch(_ environment: [String: String]) throws -> Launch? {
        let found = launchers.compactMap { launcher, rank, ranks -> Launch? in
            guard let size = environment[ranks].flatMap(Int.init), size > 0 else { return nil }
            return Launch(launcher: launcher, rank: environment[rank].flatMap(Int.init) ?? -1, ranks: size)
        }
        guard let first = found.first else { return nil }
        guard (0..<first.ranks).contains(first.rank) else {
            throw OCCError(
                .usage, "\(first.launcher) started \(first.ranks) processes and does not say which this is",
                remedy: "Start the program by the launcher itself, not from a script of one of its processes."
            )
        }
        if let other = found.dropFirst().first(where: { $0.ranks != first.ranks && $0.launcher != "srun" }) {
            throw OCCError(
                .usage,
                "\(first.launcher) says that this is one of \(first.ranks) processes, and \(other.launcher) one of \(other.ranks)",
                remedy: "Start the program by one launcher, in an environment that the other has not marked.")
        }
        return first
    }

    /// The ranks that this process has joined; nil for a process by itself.
    nonisolated(unsafe) package private(set) static var communicator: Communicator?

    /// Joins the processes that were started together, where this is one of several.
    ///
    /// - Parameters:
    ///   - command: what they are to do.
    ///   - processes: what several processes are to it.
    /// - Throws: `OCCError(.usage)` where they would only do the same thing several times.
    static func join(for command: String, _ processes: Command.Processes) throws {
        guard processes != .each else { return }
        guard let launch = try launch(ProcessInfo.processInfo.environment), launch.ranks > 1 else { return }
        guard processes == .together else {
            throw OCCError(
                .usage,
                "\(launch.launcher) started \(launch.ranks) processes, and \(command) is the work of one",
                remedy: "Start it by itself, or as one process (-n 1).")
        }
        guard let library = occ_mpi_library() else {
            throw OCCError(
                .usage,
                "\(launch.launcher) started \(launch.ranks) processes, and this program is built without MPI: each would do the same run",
                remedy: "Build it with swift build -c release --traits MPI, or start one process.")
        }
        var functions = ck_communicator()
        try check(occ_mpi_join(&functions))
        guard Int(functions.ranks) == launch.ranks else {
            throw OCCError(
                .usage,
                "\(launch.launcher) started \(launch.ranks) processes, and MPI (\(String(cString: library))) sees \(functions.ranks)",
                remedy:
                    "Start the program by that library's own mpirun, or build it with the launcher's MPI (OCC_MPI)."
            )
        }
        communicator = Communicator(functions)
    }

    /// The CPU threads of a rank where nobody says: Slurm's share, else an even part of the cores that the ranks of a
    /// node may all use; 0, which is one for a core, for a process by itself, or one that is bound to cores.
    package static var threads: Int {
        guard communicator != nil else { return 0 }
        if let count = ProcessInfo.processInfo.environment["SLURM_CPUS_PER_TASK"].flatMap(Int.init) {
            return count
        }
        let cores = ProcessInfo.processInfo.processorCount,
            usable = ProcessInfo.processInfo.activeProcessorCount
        return usable < cores ? 0 : max(1, usable / node.ranks)
    }

    /// The place of this process among those of its node.
    private static var node: (rank: Int, ranks: Int) {
        var rank: Int32 = 0, ranks: Int32 = 1
        occ_mpi_node(&rank, &ranks)
        return (Int(rank), Int(ranks))
    }

    /// The device that a rank takes where a GPU is asked for without its number: the ranks of a node take one each.
    package static func device(_ request: String?) throws -> String? {
        guard communicator != nil, request == nil || ["auto", "cuda"].contains(request) else {
            return request
        }
        let gpus = Device.gpuCount
        return gpus > 0 ? "cuda:\(node.rank % gpus)" : request
    }

    /// Ends a run of several processes after an error in this one, which has been said; returns where this is one by
    /// itself, or all have come to the same end.
    static func end(with error: OCCError) {
        guard communicator != nil else { return }
        // All ranks stop at the same step, when the first has saved.
        if error.kind == .preempted, occ_mpi_leave(10) == 1 { return }
        occ_mpi_abort(error.kind.rawValue)
    }

    /// Waits for the others, and leaves them.
    static func leave() { _ = occ_mpi_leave(0) }
}
