import CKernels

// The parameters of operations on activations, without what the functions of Operations.swift fill in: how these lie
// in memory.

extension ck_conv2d_params {
    /// A convolution; `math` is a `CK_MATH_...`, `relu` and `epsilon` are of the batch normalization
    /// that goes with it in some operations.
    package init(
        n: Int32, h: Int32, w: Int32, c: Int32, k: Int32, r: Int32, s: Int32, stride: Int32, pad: Int32,
        p: Int32, q: Int32, math: Int32, relu: Int32 = 0, epsilon: Float = 0
    ) {
        self.init(
            n: n, h: h, w: w, c: c, k: k, r: r, s: s, stride: stride, pad: pad, p: p, q: q, math: math,
            activations: 0, relu: relu, epsilon: epsilon, momentum: 0)
    }
}

extension ck_batchnorm_params {
    /// Batch normalization of rows x channels; `ranks` share a batch of as many rows each, 0 for one process.
    package init(
        rows: Int64, channels: Int32, relu: Int32, epsilon: Float, momentum: Float, ranks: Int32 = 0
    ) {
        self.init(
            rows: rows, channels: channels, relu: relu, epsilon: epsilon, momentum: momentum, activations: 0,
            ranks: ranks)
    }
}

extension ck_nt_xent_params {
    /// NT-Xent of b pairs, all of them one process's.
    package init(b: Int32, d: Int32, temperature: Float, symmetric: Int32, math: Int32) {
        self.init(
            b: b, d: d, temperature: temperature, symmetric: symmetric, math: math, first: 0, pairs: b)
    }
}

extension ck_cutpaste_params {
    /// CutPaste on a batch that is the plan's own.
    package init(
        n: Int32, h: Int32, w: Int32, c: Int32, stream: UInt32, jitter: Float, area_minimum: Float,
        area_maximum: Float, aspect: Float, scar_width_minimum: Int32, scar_width_maximum: Int32,
        scar_length_minimum: Int32, scar_length_maximum: Int32, angle: Float
    ) {
        self.init(
            n: n, h: h, w: w, c: c, stream: stream, jitter: jitter, area_minimum: area_minimum,
            area_maximum: area_maximum, aspect: aspect, scar_width_minimum: scar_width_minimum,
            scar_width_maximum: scar_width_maximum, scar_length_minimum: scar_length_minimum,
            scar_length_maximum: scar_length_maximum, angle: angle, share: ck_share())
    }
}

extension ck_elementwise_params {
    /// An operation on `count` elements.
    package init(count: Int64) { self.init(count: count, activations: 0) }
}

extension ck_scale_params {
    /// An operation on `count` elements.
    package init(count: Int64, factor: Float) { self.init(count: count, factor: factor, activations: 0) }
}

extension ck_pool_params {
    /// Windows of r x r on images.
    package init(
        n: Int32, h: Int32, w: Int32, c: Int32, r: Int32, stride: Int32, pad: Int32, p: Int32, q: Int32
    ) {
        self.init(
            n: n, h: h, w: w, c: c, r: r, stride: stride, pad: pad, p: p, q: q, activations: 0)
    }
}
