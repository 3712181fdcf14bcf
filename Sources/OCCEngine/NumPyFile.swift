#if canImport(Glibc)
    import Glibc
#endif

/// A file of NumPy's whose elements are read in parts: it takes no more memory than these, whatever its size.
///
/// What is read, and what is refused, is as of `NumPyArray`.
package final class NumPyFile: Sendable {
    /// The extents, outermost first.
    package let shape: [Int]
    private let header: NumPyArray.Header
    private let path: String
    private let descriptor: Int32

    /// Opens a file and reads its header.
    ///
    /// - Throws: `OCCError`: `.noInput` when it cannot be opened, `.inputOutput` when reading fails, `.badData` for
    ///   another file than `NumPyArray` reads.
    package init(contentsOf path: String) throws {
        let (descriptor, size) = try openFile(path)
        do {
            let first = try Self.bytes(0..<min(size, NumPyArray.Header.longest), of: descriptor, path)
            header = try NumPyArray.Header(first, size: size, name: path)
        } catch {
            close(descriptor)
            throw error
        }
        (self.path, self.descriptor, shape) = (path, descriptor, header.shape)
    }

    deinit { close(descriptor) }

    /// The elements in a range, row-major, in single precision.
    ///
    /// - Throws: `OCCError(.inputOutput)` when reading fails, `.badData` where the file has become shorter.
    package func values(_ range: Range<Int>) throws -> [Float] {
        let from = header.start + range.lowerBound * header.width
        let bytes = try Self.bytes(from..<from + range.count * header.width, of: descriptor, path)
        return bytes.withUnsafeBytes { NumPyArray.decode($0, header.width) }
    }

    private static func bytes(_ range: Range<Int>, of descriptor: Int32, _ path: String) throws -> [UInt8] {
        let bytes = try [UInt8](unsafeUninitializedCapacity: range.count) { buffer, count in
            count = 0
            while count < range.count {
                let got = uninterrupted {
                    pread(
                        descriptor, buffer.baseAddress! + count, range.count - count,
                        off_t(range.lowerBound + count))
                }
                guard got >= 0 else { throw cannotRead(path, errno) }
                if got == 0 { break }
                count += got
            }
        }
        guard bytes.count == range.count else {
            throw OCCError(
                .badData, "\(path): has become shorter while it was read",
                remedy: "Write it whole, and run the command again.")
        }
        return bytes
    }
}
