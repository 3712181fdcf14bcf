import OCCData
import OCCEngine
import OneClass
import Testing

@Suite struct DeviceModelTests {
    /// What was measured on an H200 (bench/records/gpu-h200.json): 21.2 and 2.03 ms.
    @Test(arguments: [(1024, 21.2e-3, 0.1), (32, 2.03e-3, 0.15)])
    func stepsAreForetold(_ pairs: Int, _ measured: Double, _ tolerance: Double) throws {
        var c = RunConfiguration()
        (c.method, c.encoder) = (Contrastive(), ResNet(.resnet18))
        (c.batch, c.steps, c.math) = (pairs, 10, .bf16)
        let training = try TrainingPlan(
            c, images: 4096, side: 32, device: try .cpu(), activations: .bfloat16)
        let foretold = training.plan.operations.reduce(0) { $0 + DeviceModel.h200.seconds(of: $1) }
        #expect(abs(foretold - measured) < tolerance * measured, "\(foretold)")
    }
}
