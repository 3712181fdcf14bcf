import CKernels
import OneClass

/// What plans can run on, and CUDA's libraries: what `devices` lists and `doctor` judges.
struct DeviceReport {
    /// A processor or a GPU.
    struct Entry {
        let name: String
        /// The memory that a run may take; nil where the device cannot be used.
        let freeBytes: Int?
        /// Why it cannot be used; nil where it can.
        let reason: String?
        /// nil where it cannot be used.
        let device: Device?
    }

    /// A library of CUDA's.
    struct Library {
        let name: String
        /// Where it was found; empty where it was not.
        let path: String
        /// Major and minor number.
        let version: String
        /// Why it is missing; empty where it is there.
        let reason: String
    }

    let cpu: Entry
    let gpus: [Entry]
    /// Why there is no GPU; nil where there is one.
    let noGPU: String?
    let libraries: [Library]

    /// Looks for devices and libraries.
    ///
    /// - Parameter threads: the CPU's; 0 for one a core.
    init(threads: Int = 0) throws {
        let driver = ck_cuda_system_driver()!
        let device = try Device.cpu(threads: threads)
        cpu = Entry(name: device.name, freeBytes: try device.availableMemory(), reason: nil, device: device)
        var count: Int32 = 0
        noGPU = ck_cuda_count(driver, &count) == .CK_OK ? nil : String(cString: ck_last_error())
        gpus = (0..<Int(count)).map { ordinal in
            do {
                let device = try Device.cuda(ordinal)
                return Entry(
                    name: device.name, freeBytes: try device.availableMemory(), reason: nil, device: device)
            } catch {
                return Entry(name: "cuda:\(ordinal)", freeBytes: nil, reason: "\(error)", device: nil)
            }
        }
        libraries = (0..<CK_LIBRARY_COUNT.rawValue).map { index in
            let library = ck_cuda_library(rawValue: index)
            let found = ck_cuda_library_found(driver, library)!.pointee
            return Library(
                name: String(cString: ck_cuda_library_name(library)), path: text(found.path),
                version: "\(found.version / 1000).\(found.version % 1000 / 10)", reason: text(found.reason))
        }
    }
}

/// A C array of characters.
private func text<T>(_ characters: T) -> String {
    withUnsafeBytes(of: characters) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
}
