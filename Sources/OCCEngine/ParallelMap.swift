import CKernels

private final class ParallelJob {
    let run: (Int) -> Void
    init(_ run: @escaping (Int) -> Void) { self.run = run }
}

/// The values of `body` for 0..<count, computed on the thread pool, in order.
package func parallelMap<Value: Sendable>(_ count: Int, _ body: @Sendable (Int) -> Value) -> [Value] {
    withoutActuallyEscaping(body) { body in
        let values = UnsafeMutableBufferPointer<Value?>.allocate(capacity: count)
        values.initialize(repeating: nil)
        defer {
            values.deinitialize()
            values.deallocate()
        }
        let job = ParallelJob { values[$0] = body($0) }
        return withExtendedLifetime(job) {
            ck_parallel_for(
                Int64(count),
                { context, index, _ in
                    Unmanaged<ParallelJob>.fromOpaque(context!).takeUnretainedValue().run(Int(index))
                }, Unmanaged.passUnretained(job).toOpaque())
            return values.map { $0! }
        }
    }
}
