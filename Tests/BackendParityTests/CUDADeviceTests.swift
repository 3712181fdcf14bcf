import CKernels
import CUDAEmulation
import Foundation
import OCCEngine
import TestSupport
import Testing

/// What lies around the kernels: graphs, errors, the compiler's cache; and that the emulation catches bugs.
@Suite struct CUDADeviceTests {
    private static func emulate(_ change: (inout ck_emulation) -> Void) {
        var emulation = ck_emulation_default
        change(&emulation)
        ck_emulation_set(&emulation)
    }

    private static func restore() { emulate { _ in } }

    /// Emulated drivers with settings of their own; they live as long as the process.
    private static func driver(cache: String? = nil, synchronous: Bool = false) -> UnsafePointer<
        ck_cuda_driver
    > {
        let driver = UnsafeMutablePointer<ck_cuda_driver>.allocate(capacity: 1)
        driver.initialize(to: ck_emulated_driver().pointee)
        if let cache { driver.pointee.cache_folder = UnsafePointer(strdup(cache)) }
        driver.pointee.synchronous = synchronous ? 1 : 0
        return UnsafePointer(driver)
    }

    private static func cases(_ kinds: ck_kind...) -> [OperationCase] {
        OperationCases.all.filter { kinds.contains($0.kind) }
    }

    private static func failing(_ cases: [OperationCase]) throws -> Int {
        try cases.count { try !CUDAParityTests.failures($0, .strict).isEmpty }
    }

    // MARK: Seeded bugs

    /// Without its barriers every kernel that has some goes wrong.
    @Test func missingBarriersAreCaught() throws {
        Self.emulate { $0.drop_barriers = 1 }
        defer { Self.restore() }
        let cases = Self.cases(
            .CK_KIND_conv2d_forward, .CK_KIND_batchnorm_backward, .CK_KIND_l2_normalize_forward,
            .CK_KIND_sum_of_squares)
        for kind in Set(cases.map(\.kind.rawValue)) {
            let some = Array(cases.filter { $0.kind.rawValue == kind }.prefix(6))
            #expect(try Self.failing(some) > 0, "\(some[0])")
        }
    }

    /// A grid that is a block short leaves outputs unwritten.
    @Test func missingBlocksAreCaught() throws {
        Self.emulate { $0.drop_last_block = 1 }
        defer { Self.restore() }
        let cases = Array(Self.cases(.CK_KIND_add, .CK_KIND_conv2d_forward, .CK_KIND_softmax).prefix(10))
        #expect(try Self.failing(cases) == cases.count)
    }

    /// Other orders of threads and blocks give the same bits.
    @Test func ordersDoNotMatter() throws {
        defer { Self.restore() }
        for operation in Self.cases(
            .CK_KIND_conv2d_backward_weight, .CK_KIND_batchnorm_forward, .CK_KIND_nt_xent_forward,
            .CK_KIND_cutpaste, .CK_KIND_lars
        ).enumerated().filter({ $0.offset % 4 == 0 }).map(\.element) {
            var results: [[String: [Double]]] = []
            for seed in 1...2 {
                Self.emulate { $0.seed = UInt64(seed) * 1000 }
                let device = try Device.cuda(0, driver: ck_emulated_driver())
                results.append(try operation.inMode(.bf16).run(on: device.handle).outputs)
            }
            #expect(results[0] == results[1], "\(operation)")
        }
    }

    // MARK: Graphs and errors

    @Test func plansAreReplayedAsGraphs() throws {
        let device = try Device.cuda(0, driver: ck_emulated_driver())
        let operation = Self.cases(.CK_KIND_add)[0]
        ck_emulation_reset_counts()
        _ = try operation.run(on: device.handle)  // three times
        let counts = ck_emulation_count()
        #expect(counts.launches == 3)
        #expect(counts.graph_launches == 2)
        #expect(counts.compilations == 1)
    }

    /// Where no graph can be made of a plan, it runs operation by operation and says why.
    @Test func plansRunWithoutGraphs() throws {
        defer { Self.restore() }
        Self.emulate { $0.makes_no_graphs = 1 }
        let program = Program(device: try Device.cuda(0, driver: ck_emulated_driver()))
        let (plan, (x, y)) = try program.add("relu", .inference) { builder in
            let x = try builder.input("x", [4], type: .float32), y = builder.transient("y", [4])
            try builder.reluForward("first", y: y, x: x, ck_elementwise_params(count: 4))
            builder.keep(y)
            return (x, y)
        }
        try program.load()
        for run in 1...3 {
            try program.write([-1, 2, -3, Float(run)], to: x)
            try plan.run()
            #expect(try program.read(y, of: plan) == [0, 2, 0, Float(run)])
        }
        #expect(plan.notCaptured?.contains("making a graph") == true)
    }

    @Test func waitingAfterEachOperationMakesNoGraphs() throws {
        let device = try Device.cuda(0, driver: Self.driver(synchronous: true))
        ck_emulation_reset_counts()
        _ = try Self.cases(.CK_KIND_add)[0].run(on: device.handle)
        #expect(ck_emulation_count().graph_launches == 0)
    }

    /// Where nobody waits, a fault shows at the next read; with OCC_SYNC it names its operation.
    @Test func faultsAreReported() throws {
        defer { Self.restore() }
        for synchronous in [false, true] {
            Self.restore()
            let device = try Device.cuda(0, driver: Self.driver(synchronous: synchronous))
            let program = Program(device: device)
            let (plan, output) = try program.add("test", .inference) { builder in
                let x = try builder.input("x", [4], type: .float32), y = builder.transient("y", [4])
                try builder.reluForward("first", y: y, x: x, ck_elementwise_params(count: 4))
                builder.keep(y)
                return y
            }
            try program.load()
            Self.emulate { $0.faulty_kernel = UnsafePointer(strdup("ck_relu_forward")) }
            let error = #expect(throws: KernelError.self) {
                try plan.run()
                _ = try program.read(output, of: plan)
            }
            #expect(error?.description.contains("illegal memory access") == true)
            #expect(error?.operation == (synchronous ? "relu_forward of first" : nil))
        }
    }

    @Test func absentDevicesSayWhy() throws {
        defer { Self.restore() }
        Self.emulate { $0.devices = 0 }
        var error = #expect(throws: OCCError.self) { try Device.cuda(0, driver: ck_emulated_driver()) }
        #expect(error?.kind == .deviceUnavailable)
        #expect(error?.message.contains("no GPU") == true)
        Self.restore()
        error = #expect(throws: OCCError.self) { try Device.cuda(3, driver: ck_emulated_driver()) }
        #expect(error?.message.contains("there is no GPU 3") == true)
    }

    /// A program that does not fit is refused before it starts.
    @Test func memoryIsForeseen() throws {
        Self.emulate { $0.memory = 40 << 20 }
        defer { Self.restore() }
        let program = Program(device: try Device.cuda(0, driver: ck_emulated_driver()))
        _ = try program.add("test", .inference) { try $0.input("x", [4 << 20], type: .float32) }
        let error = #expect(throws: OCCError.self) { try program.load() }
        #expect(error?.kind == .deviceUnavailable)
        #expect(error?.message.contains("16.0 MiB") == true)
    }

    // MARK: The kernel cache

    /// Compilations that one operation costs on a fresh device.
    private static func compilations(_ driver: UnsafePointer<ck_cuda_driver>) throws -> Int {
        ck_emulation_reset_counts()
        let device = try Device.cuda(0, driver: driver)
        let failures = try cases(.CK_KIND_add)[0].failures(on: device.handle)
        #expect(failures.isEmpty)
        return Int(ck_emulation_count().compilations)
    }

    @Test func compiledKernelsAreKept() throws {
        let folder = try TemporaryFolder(), cache = folder.file("a/b")
        let driver = Self.driver(cache: cache)
        #expect(try Self.compilations(driver) == 1)
        #expect(try Self.compilations(driver) == 0)
        let files = try FileManager.default.contentsOfDirectory(atPath: cache)
        #expect(files.count == 1)
        // Damaged in every way that happens: each costs one compilation, and is mended by it.
        let path = "\(cache)/\(files[0])", whole = try readFile(path)
        var damaged = [
            [], Array(whole.prefix(20)), Array(whole.dropLast()), whole + [0], Array(whole.dropFirst(8)),
        ]
        for place in [0, 9, 45, whole.count - 1] {
            damaged.append(whole)
            damaged[damaged.count - 1][place] ^= 1
        }
        for bytes in damaged {
            try Data(bytes).write(to: URL(fileURLWithPath: path))
            #expect(try Self.compilations(driver) == 1)
            #expect(try readFile(path) == whole)
        }
        // Another compiler's version has its own files.
        let other = UnsafeMutablePointer(mutating: Self.driver(cache: cache))
        other.pointee.libraries.1.version = -2
        #expect(try Self.compilations(other) == 1)
        #expect(try FileManager.default.contentsOfDirectory(atPath: cache).count == 2)
    }

    /// A folder that cannot be made or written costs a compilation each time, and nothing else.
    @Test func aCacheThatCannotBeWrittenIsDoneWithout() throws {
        let folder = try TemporaryFolder(), file = folder.file("file")
        try Data([1]).write(to: URL(fileURLWithPath: file))
        for cache in ["\(file)/below", "/proc/none", ""] {
            let driver = Self.driver(cache: cache)
            #expect(try Self.compilations(driver) == 1)
            #expect(try Self.compilations(driver) == 1)
        }
    }

    @Test func processesMayCompileTogether() throws {
        let folder = try TemporaryFolder(), driver = Self.driver(cache: folder.file("cache"))
        nonisolated(unsafe) let shared = driver
        DispatchQueue.concurrentPerform(iterations: 8) { _ in
            #expect((try? Self.compilations(shared)) != nil)
        }
        #expect(try Self.compilations(driver) == 0)
        #expect(try FileManager.default.contentsOfDirectory(atPath: folder.file("cache")).count == 1)
    }

    /// Where cuBLASLt cannot add a bias, a kernel does; where an algorithm fails, the next one is tried.
    @Test func productsHaveOtherWays() throws {
        defer { Self.restore() }
        Self.emulate { ($0.lacks_bias, $0.failing_algorithms) = (1, 2) }
        let cases = Self.cases(.CK_KIND_dense_forward, .CK_KIND_dense_backward_data)
            .map { $0.inMode(.strict) }
        for operation in cases {
            let failures = try CUDAParityTests.failures(operation, .strict)
            #expect(failures.isEmpty, "\(operation): \(failures)")
        }
        #expect(ck_emulation_launches("ck_dense_add_bias") > 0)
        Self.emulate { $0.failing_algorithms = 4 }
        #expect(throws: KernelError.self) { try CUDAParityTests.failures(cases[0], .strict) }
    }

    /// A driver of CUDA 12 takes the libraries of 12 where those of 13 lie beside them.
    @Test func librariesSuitTheDriver() {
        func names(_ library: ck_cuda_library, _ version: Int32) -> [String] {
            var ordered: [UnsafePointer<CChar>?] = Array(repeating: nil, count: 5)
            let count = ck_cuda_sonames(library, version, &ordered)
            return ordered.prefix(Int(count)).map { String(cString: $0!) }
        }
        #expect(names(CK_LIBRARY_nvrtc, 12_080).prefix(2) == ["libnvrtc.so.12", "libnvrtc.so.11.2"])
        #expect(names(CK_LIBRARY_nvrtc, 12_080).last == "libnvrtc.so.13")
        #expect(names(CK_LIBRARY_cublasLt, 13_000).first == "libcublasLt.so.13")
        #expect(names(CK_LIBRARY_cublasLt, 0).first == "libcublasLt.so.13")
        #expect(names(CK_LIBRARY_cuda, 12_000) == ["libcuda.so.1"])
    }

    /// A GPU that does not run what was compiled for it says so before a run begins.
    @Test func aKernelIsTried() throws {
        defer { Self.restore() }
        let good = try Device.cuda(0, driver: ck_emulated_driver())
        #expect(ck_cuda_try_kernel(good.handle) == .CK_OK)
        Self.emulate { $0.faulty_kernel = UnsafePointer(strdup("ck_relu_forward")) }
        let bad = try Device.cuda(0, driver: ck_emulated_driver())
        #expect(ck_cuda_try_kernel(bad.handle) != .CK_OK)
        #expect(String(cString: ck_last_error()).contains("illegal memory access"))
    }

    /// The parity cases reach every kernel.
    @Test func everyKernelHasACase() throws {
        defer { Self.restore() }
        for architecture in [Int32(80), 90] {
            Self.emulate {
                ($0.only_note, $0.architecture, $0.lacks_bias) = (1, architecture, architecture == 80 ? 1 : 0)
            }
            let device = try Device.cuda(0, driver: ck_emulated_driver())
            for math in MathMode.allCases {
                for operation in CUDAParityTests.cases(math) { _ = try operation.run(on: device.handle) }
            }
        }
        let never = try Self.kernelNames(Self.driver(cache: TemporaryFolder().file("cache"))).filter {
            ck_emulation_launches($0) == 0
        }
        #expect(never == [])
    }

    /// Builds all kernels, and returns their names.
    private static func kernelNames(_ driver: UnsafePointer<ck_cuda_driver>) throws -> [String] {
        final class Names { var all: [String] = [] }
        let names = Names()
        try check(
            ck_cuda_build_kernels(
                driver, 90, nil,
                {
                    Unmanaged<Names>.fromOpaque($0!).takeUnretainedValue().all.append(
                        String(cString: $1!.pointee.kernel))
                }, Unmanaged.passUnretained(names).toOpaque()))
        return names.all
    }

    @Test func allKernelsAreBuiltAheadOfTime() throws {
        let folder = try TemporaryFolder(), driver = Self.driver(cache: folder.file("cache"))
        let names = try Self.kernelNames(driver)
        #expect(names.count > 60)
        #expect(Set(names).count == names.count)
        #expect(try Self.compilations(driver) == 0)
        #expect(ck_cuda_build_kernels(driver, 1, nil, nil, nil) == .CK_INTERNAL_ERROR)
        #expect(String(cString: ck_last_error()).contains("sm_1 is no architecture"))
    }

    // MARK: Self-test

    @Test func theSelfTestTellsGoodFromBad() throws {
        defer { Self.restore() }
        let cases = Array(Self.cases(.CK_KIND_dense_forward).prefix(3)) + Self.cases(.CK_KIND_softmax)
        let cpu = try Device.choose("cpu"), gpu = try Device.cuda(0, driver: ck_emulated_driver())
        let good = SelfTest.run(gpu, against: cpu, cases: cases)
        #expect(good.map(\.operation) == ["dense_forward", "dense_forward", "dense_forward", "softmax"])
        #expect(good.flatMap { $0.failures } == [])
        let errors = good.prefix(3).map { $0.error }  // strict, fast, bf16
        #expect(errors == errors.sorted())
        Self.emulate { $0.drop_barriers = 1 }
        let bad = SelfTest.run(gpu, against: cpu, cases: cases)
        #expect(bad.last?.failures.isEmpty == false)
    }
}
