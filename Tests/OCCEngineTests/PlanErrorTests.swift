import CKernels
import OCCEngine
import OCCNetworks
import Testing

/// An operation that does not fit its declaration is refused when the plan is built.
@Suite struct PlanErrorTests {
    private func error(_ build: (PlanBuilder) throws -> Void) throws -> PlanError? {
        let program = Program(device: try .cpu())
        return #expect(throws: PlanError.self) { try program.add("wrong", .training) { try build($0) } }
    }

    /// A target that is too small would make the loss read its neighbors.
    @Test func aSmallTargetIsRefused() throws {
        let error = try error { plan in
            let x = try plan.input("x", [4, 10], type: .float32)
            let target = try plan.input("target", [4, 9], type: .float32)
            _ = try meanSquaredError(x, target: target, in: plan)
        }
        #expect(
            error?.description
                == "mse (mean_squared_error_forward): target is float32 [4, 9], expected float32 [40]")
    }

    @Test func aConvolutionOfAMatrixIsRefused() throws {
        let error = try error { plan in
            let x = try plan.input("x", [4, 10], type: .float32)
            _ = try Conv2D("conv1", channels: 8, kernel: 3)(x, in: plan)
        }
        #expect(error?.layer == "conv1")
        #expect(error?.problem == .rank(expected: 4, given: [4, 10]))
    }

    @Test func otherElementTypesAreRefused() throws {
        let error = try error { plan in
            let logits = try plan.input("logits", [4, 10], type: .float32)
            let labels = try plan.input("labels", [4], type: .float32)
            _ = try softmaxCrossEntropy(logits, labels: labels, in: plan)
        }
        #expect(error?.description.contains("labels is float32 [4], expected int32 [4]") == true)
    }

    /// An operation's activations are all of one type; what is no activation keeps its own.
    @Test func mixedActivationsAreRefused() throws {
        let sum = try error { plan in
            let a = plan.transient("a", [4, 10], type: .bfloat16), b = plan.transient("b", [4, 10])
            _ = try add(a, b, in: plan)
        }
        #expect(
            sum?.description == "sum (add): b is float32 [4, 10], expected bfloat16 [40]")
        let statistics = try error { plan in
            let x = plan.transient("x", [4, 10], type: .bfloat16), c = plan.transient("c", [10])
            let mean = plan.transient("mean", [10], type: .bfloat16)
            try plan.batchnormInference(
                "bn", y: plan.transient("y", [4, 10], type: .bfloat16), x: x, residual: nil, gamma: c,
                beta: c, runningMean: mean, runningVariance: c,
                ck_batchnorm_params(rows: 4, channels: 10, relu: 0, epsilon: 0, momentum: 0))
        }
        #expect(
            statistics?.description
                == "bn (batchnorm_inference): running_mean is bfloat16 [10], expected float32 [10]")
        let bytes = try error { plan in
            _ = try relu(try plan.input("x", [4], type: .uint8), in: plan)
        }
        #expect(bytes?.description == "relu (relu_forward): y is uint8 [4], expected float32 [4]")
    }

    @Test func missingOperandsAndBrokenRequirementsAreRefused() throws {
        let parts = try error { plan in
            let y = plan.transient("y", [2, 4, 4, 3])
            let data = try plan.input("data", [5, 8, 8, 3], type: .uint8)
            var params = ck_image_params()
            (params.n, params.h, params.w, params.c, params.stored_h, params.stored_w) = (2, 4, 4, 3, 8, 8)
            try plan.gather(
                "gather", y: y, data: data, indices: plan.input("indices", [2], type: .int32), corners: nil,
                params)
        }
        #expect(parts?.problem == .requirement("parts of images need corners"))
        let filter = try error { plan in
            let x = try plan.input("x", [1, 3, 3, 2], type: .float32)
            _ = try Conv2D("conv1", channels: 8, kernel: 7, padding: 0)(x, in: plan)
        }
        #expect(filter?.problem == .requirement("the filter is no larger than the padded image"))
    }

    /// The C boundary checks for itself, whoever calls it.
    @Test func theBoundaryChecksShapesAndTheArena() throws {
        let device = try Device.cpu()
        var arena = ck_arena(), plan = ck_plan()
        try check(ck_arena_create(device.handle, 1024, &arena))
        defer { ck_arena_destroy(arena) }
        func tensor(_ offset: UInt64, _ count: Int64) -> ck_tensor {
            ck_tensor(offset: offset, element: .CK_f32, rank: 1, shape: (count, 0, 0, 0))
        }
        func status(y: ck_tensor) -> ck_status {
            var operation = ck_operation()
            operation.kind = .CK_KIND_relu_forward
            operation.params.elementwise.count = 64
            operation.tensors.0 = y
            operation.tensors.1 = tensor(256, 64)
            return ck_plan_create(arena, &operation, 1, 1024, 0, &plan)
        }
        #expect(status(y: tensor(512, 64)) == .CK_OK)
        ck_plan_destroy(plan)
        #expect(status(y: tensor(512, 63)) == .CK_INVALID_ARGUMENT)
        #expect(String(cString: ck_last_error()) == "relu_forward: y is f32[63], expected f32[64]")
        var half = tensor(512, 64)
        half.element = .CK_bf16
        #expect(status(y: half) == .CK_INVALID_ARGUMENT)
        #expect(
            String(cString: ck_last_error())
                == "relu_forward: y is bf16[64], expected f32[64], as the operation's activations are")
        var operation = ck_operation()
        operation.kind = .CK_KIND_relu_forward
        operation.params.elementwise.count = 64
        operation.params.elementwise.activations = Int32(ck_element.CK_bf16.rawValue)
        operation.tensors.0 = half
        operation.tensors.1 = tensor(256, 64)
        #expect(ck_operation_check(&operation, nil) == .CK_INVALID_ARGUMENT)
        #expect(
            String(cString: ck_last_error())
                == "relu_forward: x is f32[64], expected bf16[64], as the operation's activations are")
        operation.params.elementwise.activations = Int32(ck_element.CK_u8.rawValue)
        #expect(ck_operation_check(&operation, nil) == .CK_INVALID_ARGUMENT)
        #expect(String(cString: ck_last_error()) == "relu_forward: activations are f32 or bf16")
        #expect(status(y: tensor(900, 64)) == .CK_INVALID_ARGUMENT)
        #expect(String(cString: ck_last_error()).contains("are not in the arena of 1024"))
    }
}
