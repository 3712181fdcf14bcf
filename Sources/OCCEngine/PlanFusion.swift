import CKernels

/// Convolutions and the batch normalization beside them, as one operation: the sums over the batch are taken from the
/// convolution's results before they leave a GPU's multiprocessor or a core's cache, instead of reading them again.
extension PlanBuilder {
    /// Joins each convolution with the batch normalization of its output, and each gradient of a convolution by its
    /// input with the gradients of the batch normalization that made that input; a sum of two gradients in between
    /// goes with them. Values stay where they are read: the plan computes what it did.
    package func joinConvolutionsAndNormalizations() {
        joinForward()
        joinBackward()
    }

    /// Operands in the order of the declarations (ck_operations.h).
    private enum Place {
        static let convolution = (y: 0, x: 1, w: 2), gradient = (dx: 0, dy: 1, w: 2), sum = (y: 0, a: 1, b: 2)
        static let normalization = (x: 5, residual: 6), normalizationGradient = (dresidual: 3, dy: 4)
    }

    private func joinForward() {
        var isJoined = Set<Int>()
        for (index, norm) in operations.enumerated() where norm.kind == .CK_KIND_batchnorm_forward {
            guard let z = norm.tensors[Place.normalization.x],
                let first = operations[..<index].lastIndex(where: { operation in
                    operation.tensors.contains { $0?.place == z.place }
                }),
                operations[first].kind == .CK_KIND_conv2d_forward,
                operations[first].tensors[Place.convolution.y] == z
            else { continue }
            let convolution = operations[first], own = norm.tensors
            operations[index] = joined(
                .CK_KIND_conv2d_batchnorm_forward, convolution, norm,
                [own[0], z] + own[1...4]
                    + [
                        convolution.tensors[Place.convolution.x], convolution.tensors[Place.convolution.w],
                        own[Place.normalization.residual],
                    ] + own[7...])
            isJoined.insert(first)
        }
        remove(isJoined)
    }

    private func joinBackward() {
        // By place: a tensor may be read in another shape.
        var readers: [Tensor.Place: Int] = [:]
        for operation in operations {
            for tensor in operation.readTensors { readers[tensor.place, default: 0] += 1 }
        }
        let kept = Set(outputs.map(\.place))
        /// Where a tensor that only one operation reads is written.
        func writer(of tensor: Tensor?, before index: Int) -> Int? {
            guard let tensor, readers[tensor.place] == 1, !kept.contains(tensor.place),
                tensor.region == .transient
            else {
                return nil
            }
            return operations[..<index].lastIndex { $0.tensors.first == tensor }
        }
        var isJoined = Set<Int>()
        for (index, norm) in operations.enumerated() where norm.kind == .CK_KIND_batchnorm_backward {
            guard let gradient = norm.tensors[Place.normalizationGradient.dy],
                var last = writer(of: gradient, before: index)
            else { continue }
            var added: Tensor?
            if operations[last].kind == .CK_KIND_add {
                // The later one of the two is the convolution's: the other was there to be added to.
                let sum = operations[last]
                guard let convolution = writer(of: sum.tensors[Place.sum.b], before: last),
                    operations[convolution].kind == .CK_KIND_conv2d_backward_data
                else { continue }
                added = sum.tensors[Place.sum.a]
                isJoined.insert(last)
                last = convolution
            }
            guard operations[last].kind == .CK_KIND_conv2d_backward_data else { continue }
            let convolution = operations[last], own = norm.tensors
            operations[index] = joined(
                .CK_KIND_conv2d_batchnorm_backward, convolution, norm,
                own[0...2] + [
                    own[Place.normalizationGradient.dresidual] ?? gradient,
                    convolution.tensors[Place.gradient.dy], convolution.tensors[Place.gradient.w], added,
                ] + own[5...])
            isJoined.insert(last)
        }
        remove(isJoined)
    }

    private func joined(
        _ kind: ck_kind, _ convolution: PlannedOperation, _ norm: PlannedOperation, _ tensors: [Tensor?]
    ) -> PlannedOperation {
        var params = convolution.params
        params.conv2d.relu = norm.params.batchnorm.relu
        params.conv2d.epsilon = norm.params.batchnorm.epsilon
        params.conv2d.momentum = norm.params.batchnorm.momentum
        return PlannedOperation(
            kind: kind, layer: convolution.layer, tensors: tensors, params: params,
            flop: convolution.flop + norm.flop)
    }

    private func remove(_ indices: Set<Int>) {
        operations = operations.enumerated().filter { !indices.contains($0.offset) }.map(\.element)
    }
}

extension PlannedOperation {
    /// The operands that it reads, those that it also writes among them.
    var readTensors: [Tensor] {
        let declaration = ck_declaration_of(kind).pointee
        return tensors.enumerated().compactMap { index, tensor in
            declaration.operands[index].direction == .CK_OUT ? nil : tensor
        }
    }
}
