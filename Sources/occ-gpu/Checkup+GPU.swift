import CKernels
import Foundation
import OneClass

extension Checkup {
    /// The GPUs, or why there is none: a problem where one was asked for, or where a driver shows that one is
    /// there.
    ///
    /// - Parameter wanted: the device that was asked for.
    static func gpus(_ found: DeviceReport, wanted: Device.Request?) -> [Finding] {
        guard found.gpus.isEmpty else {
            let all = found.gpus.map(gpu)
            if case .cuda(let ordinal) = wanted, ordinal >= found.gpus.count {
                return all + [
                    Finding(
                        .problem, "GPU", "cuda:\(ordinal) was asked for, and there are \(found.gpus.count)",
                        remedy: "Ask for cuda:0 to cuda:\(found.gpus.count - 1).")
                ]
            }
            return all
        }
        let visible = ProcessInfo.processInfo.environment["CUDA_VISIBLE_DEVICES"]
        return [
            noGPU(
                found.noGPU ?? "the driver counts none",
                isWanted: { if case .cuda = wanted { true } else { false } }(),
                hasDriver: pathExists("/dev/nvidiactl"), visible: visible)
        ]
    }

    /// - Parameters:
    ///   - hasDriver: whether NVIDIA's driver is loaded.
    ///   - visible: CUDA_VISIBLE_DEVICES; nil where it is not set.
    package static func noGPU(_ reason: String, isWanted: Bool, hasDriver: Bool, visible: String?) -> Finding
    {
        let isHidden = visible == "" || visible == "-1"
        let text = "none: \(reason)" + (visible.map { " (CUDA_VISIBLE_DEVICES=\($0))" } ?? "")
        let remedy =
            isHidden
            ? "Unset CUDA_VISIBLE_DEVICES to use the GPUs."
            : hasDriver
                ? "The driver is loaded: see to its libraries below."
                : isWanted
                    ? "Install NVIDIA's driver, or ask for --device cpu."
                    : "Where there is no GPU there is nothing to do; otherwise install NVIDIA's driver."
        let isProblem = isWanted || hasDriver && !isHidden
        return Finding(isProblem ? .problem : .note, "GPU", text, remedy: remedy)
    }

    private static func gpu(_ entry: DeviceReport.Entry) -> Finding {
        guard let device = entry.device, let free = entry.freeBytes else {
            return Finding(
                .problem, "GPU", "\(entry.name): \(entry.reason ?? "")",
                remedy: "See to the libraries below; --device cpu does without.")
        }
        guard ck_cuda_try_kernel(device.handle) == .CK_OK else {
            return Finding(
                .problem, "GPU", "\(device.name): runs no kernels: \(String(cString: ck_last_error()))",
                remedy: "Use an NVRTC of the driver's CUDA version or older; --device cpu does without.")
        }
        return Finding(
            .ok, "GPU", "\(device.name), \(formatBytes(free)) free, runs kernels",
            values: ["device": .string(device.name), "free_bytes": .integer(Int64(free))])
    }

    /// A library of CUDA's: one that is missing is a problem where there is a GPU. NCCL is for several alone, and
    /// done without.
    static func library(_ library: DeviceReport.Library, hasGPU: Bool) -> Finding {
        guard library.reason.isEmpty else {
            guard library.name != "libnccl" else {
                return Finding(
                    .note, library.name, "\(library.reason): processes that train together are slower for it")
            }
            let remedy =
                library.name == "libcuda"
                ? "Install NVIDIA's driver."
                : "Install it, as pip install nvidia-cuda-nvrtc nvidia-cublas does, and set OCC_CUDA_PATH."
            return Finding(
                hasGPU ? .problem : .note, library.name, library.reason, remedy: hasGPU ? remedy : nil)
        }
        return Finding(
            .ok, library.name, "\(library.version), \(library.path)",
            values: ["version": .string(library.version), "path": .string(library.path)])
    }

    /// Where compiled kernels are kept.
    static func kernelCache(hasGPU: Bool) -> Finding {
        var path = [CChar](repeating: 0, count: 1024)
        guard ck_cuda_cache_folder(ck_cuda_system_driver(), &path, path.count) != 0 else {
            return Finding(
                hasGPU ? .note : .ok, "kernel cache", "none: HOME is not set",
                remedy: hasGPU ? "Set OCC_KERNEL_CACHE to a folder, or every process compiles anew." : nil)
        }
        let folder = PathText.decode(path)
        let files = ((try? folderNames(folder)) ?? []).map { "\(folder)/\($0)" }
        return kernelCache(
            folder, sizes: files.compactMap { FileKind($0) == .file ? fileSize($0) : nil },
            FolderProbe(folder))
    }

    /// - Parameter sizes: of the files in it, in bytes.
    package static func kernelCache(_ folder: String, sizes: [Int], _ probe: FolderProbe) -> Finding {
        let bytes = sizes.reduce(0, +)
        let text = "\(folder): \(counted(sizes.count, "file")), \(formatBytes(bytes))"
        let values: [String: JSONValue] = [
            "folder": .string(folder), "files": .integer(Int64(sizes.count)), "bytes": .integer(Int64(bytes)),
            "writable": .bool(probe.reason == nil),
        ]
        guard let reason = probe.reason else { return Finding(.ok, "kernel cache", text, values: values) }
        return Finding(
            .note, "kernel cache",
            "\(text); cannot be written (\(reason)): kernels are compiled in every process",
            remedy: "Set OCC_KERNEL_CACHE to a folder that can be.", values: values)
    }

    private static func fileSize(_ path: String) -> Int {
        var status = stat()
        return PathText.with(path) { stat($0, &status) } == 0 ? Int(status.st_size) : 0
    }
}
