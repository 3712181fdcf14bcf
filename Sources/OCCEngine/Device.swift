import CKernels

/// Where plans run.
public final class Device: @unchecked Sendable {
    package let handle: ck_device
    /// What the device is called in records and messages.
    public let name: String
    /// Whether plans run on a GPU; false for the CPU.
    public let isGPU: Bool

    /// The ranks that it has joined; nil for a process that trains alone.
    public private(set) var communicator: Communicator?

    /// The least number of bytes that its plans exchange at a time beside the computation, the same on all ranks.
    package var exchangeBytes = PlanBuilder.exchangeBytes

    /// Lets plans on the device exchange values with those of other ranks; all ranks call it.
    public func join(_ communicator: Communicator) throws {
        try check(ck_device_join(handle, communicator.functions))
        self.communicator = communicator
    }

    /// Does what only builds plans, as one of several ranks would; nothing is run, and no other rank is needed.
    public func planning<Result>(for ranks: Communicator?, _ body: () throws -> Result) rethrows -> Result {
        let before = communicator
        communicator = ranks
        defer { communicator = before }
        return try body()
    }

    /// Lets the next programs on the device be of this process alone.
    public func leaveRanks() { communicator = nil }

    private init(handle: ck_device, name: String, isGPU: Bool) {
        self.handle = handle
        self.name = name
        self.isGPU = isGPU
    }

    deinit { ck_device_destroy(handle) }

    /// The CPU, with `threads` worker threads (0: one per available core). The number of threads is the
    /// process's: set it before anything is loaded.
    public static func cpu(threads: Int = 0) throws -> Device {
        try check(ck_set_thread_count(Int32(clamping: threads)))
        var handle = ck_device()
        try check(ck_device_create_cpu(&handle))
        return Device(
            handle: handle, name: "cpu (\(ck_thread_count()) threads, \(String(cString: ck_simd_name())))",
            isGPU: false)
    }

    /// The CPU with the pool of threads that there is, for plans that are run while other work goes on.
    package static func cpuAsItIs() throws -> Device {
        var handle = ck_device()
        try check(ck_device_create_cpu(&handle))
        return Device(handle: handle, name: "cpu", isGPU: false)
    }

    /// How many GPUs there are; 0 where something is missing that they need.
    public static var gpuCount: Int {
        var count: Int32 = 0
        return ck_cuda_count(ck_cuda_system_driver(), &count) == .CK_OK ? Int(count) : 0
    }

    /// A GPU, through NVIDIA's driver and libraries as they are found at run time.
    ///
    /// - Throws: `OCCError(.deviceUnavailable)` with the reason when there is no such GPU or a library is
    ///   missing.
    public static func cuda(_ ordinal: Int = 0) throws -> Device {
        try cuda(ordinal, driver: ck_cuda_system_driver())
    }

    /// The same through another table of driver functions.
    package static func cuda(_ ordinal: Int, driver: UnsafePointer<ck_cuda_driver>) throws -> Device {
        do {
            var properties = ck_cuda_properties(), handle = ck_device()
            try check(ck_cuda_describe(driver, Int32(clamping: ordinal), &properties))
            try check(ck_device_create_cuda(driver, Int32(clamping: ordinal), &handle))
            let gpu = withUnsafeBytes(of: properties.name) {
                String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self)
            }
            return Device(
                handle: handle,
                name: "cuda:\(ordinal) (\(gpu), sm_\(properties.major)\(properties.minor))", isGPU: true)
        } catch let error {
            throw OCCError(
                .deviceUnavailable, "no GPU: \(error.message)",
                remedy: "Choose \(setting: "device") cpu to do without; see which libraries were looked for.")
        }
    }

    /// The device that `--device` and `OCC_DEVICE` ask for.
    ///
    /// - Parameters:
    ///   - request: auto, cpu, cuda or cuda:N; nil for `OCC_DEVICE`, or auto where that is not set.
    ///   - threads: worker threads of the CPU, which does what a GPU does not.
    ///   - notice: called with one line when `auto` goes on without a GPU.
    public static func choose(_ request: String?, threads: Int = 0, notice: (String) -> Void = { _ in })
        throws
        -> Device
    {
        let cpu = try cpu(threads: threads)
        let wanted = request ?? ck_setting(CK_SETTING_DEVICE).map { String(cString: $0) } ?? "auto"
        switch Request(wanted) {
        case .cpu: return cpu
        case .auto:
            do {
                let gpu = try cuda()
                try gpu.tryKernel()
                return gpu
            } catch let error as OCCError {
                notice("\(error.message); running on the CPU")
                return cpu
            }
        case .cuda(let ordinal): return try cuda(ordinal)
        case nil:
            throw OCCError(
                .usage, "there is no device '\(wanted)'",
                remedy: "There is: \(Request.names.joined(separator: ", ")).")
        }
    }

    /// Runs one small kernel: a GPU that is there may still refuse what the compiler made for it.
    private func tryKernel() throws {
        do {
            try check(ck_cuda_try_kernel(handle))
        } catch let error {
            throw OCCError(.deviceUnavailable, "\(name) runs no kernels: \(error.message)")
        }
    }

    /// A device as people ask for it.
    package enum Request: Equatable {
        case auto, cpu
        case cuda(Int)

        package static let names = ["auto", "cpu", "cuda", "cuda:0", "cuda:1..."]

        /// Reads auto, cpu, cuda or cuda:N; nil for anything else.
        package init?(_ text: String) {
            let parts = text.split(separator: ":", omittingEmptySubsequences: false)
            switch (parts.first, parts.count) {
            case ("auto", 1): self = .auto
            case ("cpu", 1): self = .cpu
            case ("cuda", 1): self = .cuda(0)
            case ("cuda", 2):
                guard let ordinal = Int32(parts[1]), ordinal >= 0 else { return nil }
                self = .cuda(Int(ordinal))
            default: return nil
            }
        }
    }

    /// The memory a program may take now, in bytes.
    public func availableMemory() throws -> Int {
        var bytes: UInt64 = 0
        try check(ck_device_available_memory(handle, &bytes))
        return Int(clamping: bytes)
    }

    /// The memory a program may take now of the host, whatever the device; in bytes.
    public static func availableHostMemory() throws -> Int {
        var handle = ck_device(), bytes: UInt64 = 0
        try check(ck_device_create_cpu(&handle))
        defer { ck_device_destroy(handle) }
        try check(ck_device_available_memory(handle, &bytes))
        return Int(clamping: bytes)
    }

    /// Waits for everything that plans have begun on it.
    public func synchronize() throws { try check(ck_device_synchronize(handle)) }
}
