/// The squared distance of two rows of `count` values, summed in double precision, in a fixed order.
func squaredDistance(_ a: UnsafePointer<Float>, _ b: UnsafePointer<Float>, _ count: Int) -> Double {
    var sums = SIMD8<Double>.zero, column = 0
    while column + 8 <= count {
        let difference =
            SIMD8<Double>(UnsafeRawPointer(a + column).loadUnaligned(as: SIMD8<Float>.self))
            - SIMD8<Double>(UnsafeRawPointer(b + column).loadUnaligned(as: SIMD8<Float>.self))
        sums += difference * difference
        column += 8
    }
    var sum = sums.sum()
    while column < count {
        let difference = Double(a[column]) - Double(b[column])
        sum += difference * difference
        column += 1
    }
    return sum
}

/// The same, summed in single precision.
func roundedSquaredDistance(_ a: UnsafePointer<Float>, _ b: UnsafePointer<Float>, _ count: Int) -> Float {
    var sums = SIMD8<Float>.zero, column = 0
    while column + 8 <= count {
        let difference =
            UnsafeRawPointer(a + column).loadUnaligned(as: SIMD8<Float>.self)
            - UnsafeRawPointer(b + column).loadUnaligned(as: SIMD8<Float>.self)
        sums += difference * difference
        column += 8
    }
    var sum = sums.sum()
    while column < count {
        let difference = a[column] - b[column]
        sum += difference * difference
        column += 1
    }
    return sum
}
