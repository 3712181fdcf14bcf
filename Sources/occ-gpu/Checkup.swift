import CKernels
import Foundation
import OCCCommandLine
import OneClass

/// What `doctor` looks at, one function each.
package enum Checkup {
    static let mebibyte = 1 << 20

    static func program() -> Finding {
        #if DEBUG
            return Finding(
                .note, "program",
                "\(CommandLineProgram.version), debug build: its kernels are many times slower",
                remedy: "Build with: swift build -c release")
        #else
            return Finding(.ok, "program", CommandLineProgram.version)
        #endif
    }

    static func processor() -> Finding {
        let simd = String(cString: ck_simd_name())
        let text = "\(processorName), vector instructions: \(simd)"
        let values: [String: JSONValue] = ["simd": .string(simd)]
        if let limit = ck_setting(CK_SETTING_SIMD).map({ String(cString: $0) }) {
            return Finding(
                .note, "processor", "\(text) (OCC_SIMD=\(limit))",
                remedy: "Unset OCC_SIMD unless you are comparing.", values: values)
        }
        return simd == "plain"
            ? Finding(.note, "processor", "\(text): it has no AVX2, and training is slow", values: values)
            : Finding(.ok, "processor", text, values: values)
    }

    /// - Parameter threads: of the pool.
    package static func threads(_ threads: Int, limits: ContainerLimits) -> Finding {
        let values: [String: JSONValue] = ["threads": .integer(Int64(threads))]
        if let cores = limits.cores, cores < Double(threads) {
            let fitting = max(1, Int(cores))
            return Finding(
                .note, "threads",
                "\(threads), and the container has \(String(format: "%.3g", cores)) processors' time",
                remedy: "Give \(fitting == 1 ? "1 thread" : "\(fitting) threads"): --threads \(fitting)",
                values: values)
        }
        return Finding(.ok, "threads", "\(threads)", values: values)
    }

    static func blas() -> Finding {
        blas(
            String(cString: ck_blas_name()), core: String(cString: ck_blas_core()),
            simd: String(cString: ck_simd_name()))
    }

    /// OpenBLAS takes a processor that is newer than itself for one of 2004, whose vectors have four floats.
    ///
    /// - Parameters:
    ///   - name: what OpenBLAS says of itself.
    ///   - core: the processor that it takes this one for.
    ///   - simd: the vector instructions that there are.
    package static func blas(_ name: String, core: String, simd: String) -> Finding {
        let version = name.split(separator: " ").dropFirst().first.map(String.init) ?? ""
        let text = "OpenBLAS \(version), for \(core)"
        let values: [String: JSONValue] = ["version": .string(version), "core": .string(core)]
        let old = ["Prescott", "Core2", "Nehalem", "Generic"]
        guard simd != "plain", old.contains(core) else { return Finding(.ok, "BLAS", text, values: values) }
        return Finding(
            .note, "BLAS", "\(text): it does not know this processor, and detectors are slower",
            remedy:
                "export OPENBLAS_CORETYPE=\(simd == "avx512" ? "SkylakeX" : "Haswell"), or update OpenBLAS.",
            values: values)
    }

    /// - Parameter free: bytes of the machine that are free.
    package static func memory(free: Int, limits: ContainerLimits) -> Finding {
        var left = free, text = "\(formatBytes(free)) free"
        if let limit = limits.memory {
            let own = max(0, limit - (limits.memoryInUse ?? 0))
            if own < left {
                (left, text) = (own, "\(formatBytes(own)) free of the container's \(formatBytes(limit))")
            }
        }
        let values: [String: JSONValue] = ["free_bytes": .integer(Int64(left))]
        let remedy = "Free some, or ask for more; occ-gpu plan says what a run takes."
        if left < 256 * mebibyte {
            return Finding(.problem, "memory", text, remedy: remedy, values: values)
        }
        return left < 2048 * mebibyte
            ? Finding(.note, "memory", "\(text): enough for small runs", remedy: remedy, values: values)
            : Finding(.ok, "memory", text, values: values)
    }

    static func imageLibraries() -> Finding {
        let found = ImageLibraries.versions
        return Finding(
            .ok, "image libraries", found.map { "\($0.name) \($0.version)" }.joined(separator: ", "),
            values: Dictionary(uniqueKeysWithValues: found.map { ($0.name, .string($0.version)) }))
    }

    /// - Parameter path: where runs would be kept.
    package static func disk(_ path: String, _ probe: FolderProbe) -> Finding {
        let values: [String: JSONValue] = [
            "free_bytes": .integer(Int64(probe.freeBytes)), "folder": .string(probe.folder),
        ]
        func finding(_ status: Finding.Status, _ text: String, _ remedy: String? = nil) -> Finding {
            Finding(status, "disk for runs", text, remedy: remedy, values: values)
        }
        if let reason = probe.reason {
            return finding(.problem, "\(path): cannot be written (\(reason))", "Choose another --out.")
        }
        let text = "\(path): \(formatBytes(probe.freeBytes)) free"
        let room = "Free some, or choose another --out."
        if probe.freeBytes < 64 * mebibyte { return finding(.problem, text, room) }
        if probe.freeBytes < 1024 * mebibyte {
            return finding(.note, "\(text); a run of ResNet-18 at full width takes 250 MiB", room)
        }
        guard probe.hasLocks else {
            return finding(
                .note, "\(text); without locks", "See to it that no two processes run in one folder.")
        }
        return finding(.ok, text)
    }

    /// - Parameters:
    ///   - encoding: the locale's, such as UTF-8; nil for a locale that is not installed.
    ///   - columns: the terminal's width; nil where there is no terminal.
    package static func terminal(encoding: String?, columns: Int?) -> Finding {
        var values: [String: JSONValue] = ["encoding": encoding.map { .string($0) } ?? .null]
        values["columns"] = columns.map { .integer(Int64($0)) }
        let locale = encoding.map { "locale's encoding \($0)" } ?? "a locale that is not installed"
        guard let columns else {
            return Finding(.ok, "terminal", "none: progress in plain lines; \(locale)", values: values)
        }
        guard encoding == "UTF-8" else {
            return Finding(
                .note, "terminal", "\(columns) columns, \(locale): names and signs may look wrong",
                remedy: "export LC_ALL=C.UTF-8", values: values)
        }
        return columns < 80
            ? Finding(
                .note, "terminal", "\(columns) columns: progress is cut off",
                remedy: "Make it 80 wide or more.",
                values: values)
            : Finding(.ok, "terminal", "\(columns) columns, \(locale)", values: values)
    }

    /// The encoding of the locale that the environment asks for; nil where that is not installed.
    static var localeEncoding: String? {
        guard setlocale(LC_CTYPE, "") != nil else { return nil }
        defer { setlocale(LC_CTYPE, "C") }
        return nl_langinfo(nl_item(CODESET)).map { String(cString: $0) }
    }

    /// Variables that are set, and those that nothing reads.
    package static func variables(_ environment: [String: String]) -> Finding {
        let known = (0..<CK_SETTING_COUNT.rawValue).map {
            String(cString: ck_setting_variable(ck_setting_name(rawValue: $0)))
        }
        let own = environment.filter { $0.key.hasPrefix("OCC_") && !$0.value.isEmpty }.sorted {
            $0.key < $1.key
        }
        let text = own.map { "\($0.key)=\($0.value)" }.joined(separator: ", ")
        let values: [String: JSONValue] = [
            "set": .object(Dictionary(uniqueKeysWithValues: own.map { ($0.key, .string($0.value)) }))
        ]
        func finding(_ status: Finding.Status, _ text: String, _ remedy: String? = nil) -> Finding {
            Finding(status, "variables", text, remedy: remedy, values: values)
        }
        if let wrong = own.first(where: { $0.key == "OCC_DEVICE" && Device.Request($0.value) == nil }) {
            return finding(
                .problem, "\(text): there is no device '\(wrong.value)'",
                "There is: \(Device.Request.names.joined(separator: ", ")).")
        }
        if let stray = own.map(\.key).first(where: { !known.contains($0) }) {
            return finding(
                .note, "\(text): nothing reads \(stray)",
                nearestMatch(to: stray, in: known).map { "Did you mean \($0)?" }
                    ?? "There is: \(known.joined(separator: ", ")).")
        }
        if let sync = environment["OCC_SYNC"], !sync.isEmpty, sync != "0" {
            return finding(.note, "\(text): a GPU waits after each operation", "Unset OCC_SYNC for speed.")
        }
        return finding(.ok, own.isEmpty ? "none of \(known.joined(separator: ", ")) is set" : text)
    }
}
