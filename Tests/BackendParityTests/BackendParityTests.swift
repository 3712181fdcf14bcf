import CKernels
import TestSupport
import Testing

/// Every operation of every backend against the double-precision reference, from one list of cases.
@Suite struct BackendParityTests {
    static let cases = OperationCases.all

    @Test(arguments: cases)
    func cpu(_ operation: OperationCase) throws {
        var device = ck_device()
        try #require(ck_device_create_cpu(&device) == .CK_OK)
        defer { ck_device_destroy(device) }
        let failures = try operation.failures(on: device)
        #expect(failures.isEmpty, "\(failures)")
    }

    @Test func everyOperationHasACase() {
        let covered = Set(Self.cases.map(\.operationName))
        let all = (0..<UInt32(CK_KIND_COUNT)).map {
            String(cString: ck_declaration_of(ck_kind(rawValue: $0)!).pointee.name)
        }
        #expect(all.filter { !covered.contains($0) } == [])
    }

    @Test func convolutionReferenceAgreesWithFiniteDifferences() {
        #expect(ConvolutionCases.referenceFailures() == [])
    }

    /// The harness itself: a wrong value, a NaN and a write outside must all show.
    @Test func comparisonCatchesErrors() {
        #expect(difference([1, 2, 3], [1, 2, 3], tolerance: 1e-12) == nil)
        #expect(difference([1, 2, 3.001], [1, 2, 3], tolerance: 1e-12) != nil)
        #expect(difference([1, .nan, 3], [1, 2, 3], tolerance: 1e9) != nil)
        #expect(difference([0, 0], [0, 0], tolerance: 0) == nil)
        #expect(difference([0, 1e-9], [0, 0], tolerance: 1e-3) != nil)
    }
}
