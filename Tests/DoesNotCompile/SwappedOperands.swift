// Operands have labels in one order: what confuses two of the same shape is not a program. `check` compiles this file as it is,
// and then with SWAPPED, which must fail.
import CKernels
import OCCEngine

func normalize(_ x: Tensor, mean: Tensor, deviation: Tensor, in plan: PlanBuilder) throws {
    let params = ck_batchnorm_params(rows: 8, channels: 4, relu: 0, epsilon: 1e-5, momentum: 0.1)
    #if SWAPPED
        try plan.batchnormBackward(
            "bn", dx: x, dgamma: mean, dbeta: mean, dresidual: nil, dy: x, x: x, y: x,
            inverseDeviation: deviation, mean: mean, gamma: mean, params)
    #else
        try plan.batchnormBackward(
            "bn", dx: x, dgamma: mean, dbeta: mean, dresidual: nil, dy: x, x: x, y: x,
            mean: mean, inverseDeviation: deviation, gamma: mean, params)
    #endif
}
