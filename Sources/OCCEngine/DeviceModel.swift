/// What a plan would take on a device that need not be there, by arithmetic: an operation takes the longer of moving
/// its bytes and doing its products, and some time for each kernel. A change's gain can be foretold by it, and measured
/// where there is such a device.
public struct DeviceModel: Sendable {
    /// What the command line calls it.
    public let name: String
    /// Bytes that memory moves in a second, in passes over large tensors.
    public let bytesPerSecond: Double
    /// Floating-point operations of products in a second, with factors in bf16.
    public let flopPerSecond: Double
    /// From one kernel to the next in a graph.
    public let secondsPerLaunch: Double

    /// An H100 80GB HBM3. Nine tenths of the rate of a copy and six tenths of that of a product of 8192^3, which are what
    /// batch normalization and the wide convolutions reach there (`bench/records/gpu-h100.json`).
    public static let h100 = DeviceModel(
        name: "h100", bytesPerSecond: 0.9 * 3.02e12, flopPerSecond: 0.6 * 777e12, secondsPerLaunch: 3.5e-6)

    /// An H200, by the same shares of a copy's 4.3 TB/s and a product's 788 TFLOP/s: figures of other H200s, for
    /// `bench/records/gpu-h200.json` has steps and no ceilings.
    public static let h200 = DeviceModel(
        name: "h200", bytesPerSecond: 0.9 * 4.3e12, flopPerSecond: 0.6 * 788e12, secondsPerLaunch: 3.5e-6)

    /// The devices that are known.
    public static let all = [h100, h200]

    /// The kernels that an operation launches, where it is not one, and how often it goes over its bytes.
    private static let costs: [String: (launches: Int, passes: Double)] = [
        // x is read for the sums and again to be normalized; backward, dy, x and y are.
        "batchnorm_forward": (3, 4.0 / 3), "batchnorm_backward": (3, 7.0 / 4),
        // Filters are packed first; parts of sums are added behind.
        "conv2d_forward": (2, 1), "conv2d_backward_data": (2, 1), "conv2d_backward_weight": (2, 1),
        "conv2d_inference": (3, 1),
        // The convolution's two, and statistics and values of batch normalization.
        "conv2d_batchnorm_forward": (4, 1), "conv2d_batchnorm_backward": (4, 1),
        // Parts of sums again, of cuBLASLt's.
        "dense_forward": (2, 1), "dense_backward_data": (2, 1), "dense_backward_weight": (3, 1),
        "sum_of_squares": (2, 1), "nt_xent_forward": (5, 1), "nt_xent_backward": (5, 1),
    ]

    /// Bytes that batch normalization moves behind a convolution that it is joined with, and those of them that the
    /// convolution does not move: forward, z is read and y written, and what is added is read; backward, the gradient
    /// and x are read and dx is written.
    private static func passedBehind(_ operation: PlannedOperation) -> (all: Int, alone: Int)? {
        func bytes(_ index: Int) -> Int { operation.tensors[index]?.bytes ?? 0 }
        switch operation.name {
        case "conv2d_batchnorm_forward": return (bytes(0) + bytes(1) + bytes(8), bytes(0) + bytes(8))
        case "conv2d_batchnorm_backward": return (bytes(0) + bytes(3) + bytes(7), bytes(0))
        default: return nil
        }
    }

    /// The kernels that an operation launches.
    public func launches(of operation: PlannedOperation) -> Int {
        Self.costs[operation.name]?.launches ?? 1
    }

    /// The seconds that an operation takes.
    public func seconds(of operation: PlannedOperation) -> Double {
        if let passed = Self.passedBehind(operation) {
            let first = Double(operation.bytes - passed.alone) / bytesPerSecond
            return max(first, Double(operation.flop) / flopPerSecond) + Double(passed.all) / bytesPerSecond
                + Double(launches(of: operation)) * secondsPerLaunch
        }
        let moved = Double(operation.bytes) * (Self.costs[operation.name]?.passes ?? 1) / bytesPerSecond
        return max(moved, Double(operation.flop) / flopPerSecond)
            + Double(launches(of: operation)) * secondsPerLaunch
    }
}
