import CKernels

/// Where plans run.
public final class Device: @unchecked Sendable {
    let handle: ck_device
    /// What the device is called in records and messages.
    public let name: String

    private init(handle: ck_device, name: String) {
        self.handle = handle
        self.name = name
    }

    deinit { ck_device_destroy(handle) }

    /// The CPU, with `threads` worker threads (0: one per available core). The number of threads is the
    /// process's: set it before anything is loaded.
    public static func cpu(threads: Int = 0) throws -> Device {
        try check(ck_set_thread_count(Int32(clamping: threads)))
        var handle = ck_device()
        try check(ck_device_create_cpu(&handle))
        return Device(
            handle: handle, name: "cpu (\(ck_thread_count()) threads, \(String(cString: ck_simd_name())))")
    }

    /// The memory a program may take now, in bytes.
    public func availableMemory() throws -> Int {
        var bytes: UInt64 = 0
        try check(ck_device_available_memory(handle, &bytes))
        return Int(clamping: bytes)
    }
}
