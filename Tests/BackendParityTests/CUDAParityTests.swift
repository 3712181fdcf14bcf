import CKernels
import CUDAEmulation
import OCCEngine
import TestSupport
import Testing

/// The whole CUDA backend, launch code and kernels, on the emulated device: each case in the modes that
/// change it.
@Suite struct CUDAParityTests {
    static func cases(_ math: MathMode) -> [OperationCase] {
        BackendParityTests.cases.filter { $0.runs(in: math) }.map { $0.inMode(math) }
    }

    @Test(arguments: cases(.strict))
    func strict(_ operation: OperationCase) throws { try check(operation, .strict) }

    @Test(arguments: cases(.fast))
    func tf32(_ operation: OperationCase) throws { try check(operation, .fast) }

    @Test(arguments: cases(.bf16))
    func bf16(_ operation: OperationCase) throws { try check(operation, .bf16) }

    /// GPUs before and after Hopper have no wgmma.
    @Test(
        arguments: ConvolutionCases.bfloat16 + ConvolutionCases.inference.map { $0.inBfloat16() }
            + ConvolutionCases.all.prefix(48).map { $0.inMode(.bf16) })
    func bf16WithoutWgmma(_ operation: OperationCase) throws {
        var emulation = ck_emulation_default
        emulation.architecture = 80
        ck_emulation_set(&emulation)
        defer {
            emulation = ck_emulation_default
            ck_emulation_set(&emulation)
        }
        try check(operation, .bf16)
    }

    private func check(_ operation: OperationCase, _ math: MathMode) throws {
        let failures = try Self.failures(operation, math)
        #expect(failures.isEmpty, "\(failures)")
    }

    static func failures(_ operation: OperationCase, _ math: MathMode) throws -> [String] {
        var device = ck_device()
        try OCCEngine.check(ck_device_create_cuda(ck_emulated_driver(), 0, &device))
        defer { ck_device_destroy(device) }
        return try operation.failures(on: device, rounding: OperationCase.roundingTolerance(math))
    }
}
