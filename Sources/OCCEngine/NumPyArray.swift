/// An array of real numbers in NumPy's format `.npy`, version 1.0 (numpy.lib.format): a header that is Python
/// text, then the elements.
public struct NumPyArray: Sendable, Equatable {
    /// The extents, outermost first; none for a single number.
    public let shape: [Int]
    /// The elements, row-major, in single precision.
    public let values: [Float]

    fileprivate static let magic: [UInt8] = [0x93] + Array("NUMPY".utf8)

    /// An array of values; `shape` must hold as many.
    public init(_ values: [Float], shape: [Int]) {
        precondition(shape.reduce(1, *) == values.count)
        self.values = values
        self.shape = shape
    }

    /// The file's bytes: little-endian single precision, in C's order.
    public var encoded: [UInt8] {
        let list = shape.map(String.init).joined(separator: ", ")
        // A tuple of one has a comma.
        let tuple = shape.count == 1 ? "(\(list),)" : "(\(list))"
        var header = "{'descr': '<f4', 'fortran_order': False, 'shape': \(tuple), }"
        // The elements begin at a multiple of 64.
        header += String(repeating: " ", count: (64 - (10 + header.utf8.count + 1) % 64) % 64) + "\n"
        let count = UInt16(header.utf8.count)
        return Self.magic + [1, 0, UInt8(count & 0xFF), UInt8(count >> 8)] + Array(header.utf8)
            + values.withUnsafeBytes { Array($0) }
    }

    /// Reads a file.
    ///
    /// - Throws: `OCCError`: `.noInput` when it cannot be opened, `.badData` as the other.
    public init(contentsOf path: String) throws { try self.init(bytes: try readFile(path), name: path) }

    /// Reads a file that is in memory: of little-endian numbers of single or double precision, in C's order.
    /// Those of double precision are rounded.
    ///
    /// - Parameter name: what errors call the file.
    /// - Throws: `OCCError(.badData)` naming the file, for anything else.
    public init(bytes: [UInt8], name: String) throws {
        let header = try Header(bytes, size: bytes.count, name: name)
        shape = header.shape
        values = bytes.withUnsafeBytes {
            Self.decode(UnsafeRawBufferPointer(rebasing: $0[header.start...]), header.width)
        }
    }

    /// Elements of 4 or 8 bytes in single precision.
    static func decode(_ bytes: UnsafeRawBufferPointer, _ width: Int) -> [Float] {
        (0..<bytes.count / width).map { index in
            let at = index * width
            return width == 4
                ? Float(
                    bitPattern: UInt32(
                        littleEndian: bytes.loadUnaligned(fromByteOffset: at, as: UInt32.self)))
                : Float(
                    Double(
                        bitPattern: UInt64(
                            littleEndian: bytes.loadUnaligned(fromByteOffset: at, as: UInt64.self))))
        }
    }

    /// What the header says of the elements.
    struct Header {
        /// The extents, outermost first.
        let shape: [Int]
        /// The bytes of an element: 4 or 8.
        let width: Int
        /// Where the elements begin.
        let start: Int
        /// The bytes that the longest header takes, and what is before it.
        static let longest = 10 + 0xFFFF
    }

    /// The text of a key's value in a Python dictionary: up to a comma that is in no brackets and no quotes.
    fileprivate static func value(of key: String, in header: String) -> String? {
        guard let range = header.firstRange(of: "'\(key)':") else { return nil }
        var depth = 0, isQuoted = false, value = ""
        for character in header[range.upperBound...] {
            switch character {
            case "'": isQuoted.toggle()
            case "(" where !isQuoted, "[" where !isQuoted: depth += 1
            case ")" where !isQuoted, "]" where !isQuoted: depth -= 1
            case "," where !isQuoted && depth == 0, "}" where !isQuoted && depth == 0:
                return String(value.drop { $0 == " " })
            default: break
            }
            value.append(character)
        }
        return nil
    }

    /// The numbers of a tuple such as `(3, 5)` or `(3,)`; nil for anything else.
    fileprivate static func extents(_ tuple: String) -> [Int]? {
        guard tuple.hasPrefix("("), tuple.hasSuffix(")") else { return nil }
        let parts = tuple.dropFirst().dropLast().split(separator: ",")
        let numbers = parts.compactMap { part in Int(part.filter { $0 != " " }) }
        return numbers.count == parts.count && numbers.allSatisfy { $0 >= 0 } ? numbers : nil
    }
}

extension NumPyArray.Header {
    /// Reads the header of a file of `size` bytes, of which `bytes` are the first, `longest` of them or all.
    ///
    /// - Throws: `OCCError(.badData)` naming the file, for one that is not read or is not of its size.
    init(_ bytes: [UInt8], size fileSize: Int, name: String) throws {
        func fail(_ why: String, _ remedy: Wording = "Save it by numpy.save.") -> OCCError {
            OCCError(.badData, "\(name): \(why)", remedy: remedy)
        }
        guard bytes.starts(with: NumPyArray.magic), bytes.count >= 10 else {
            throw fail("is no NumPy array (.npy)")
        }
        guard bytes[6] == 1, bytes[7] == 0 else {
            throw fail("has version \(bytes[6]).\(bytes[7]) of NumPy's format, and only 1.0 is read")
        }
        let start = 10 + Int(bytes[8]) + 256 * Int(bytes[9])
        guard start <= bytes.count, let header = String(validating: bytes[10..<start], as: UTF8.self) else {
            throw fail("its header is damaged")
        }
        guard let type = NumPyArray.value(of: "descr", in: header),
            let order = NumPyArray.value(of: "fortran_order", in: header),
            let tuple = NumPyArray.value(of: "shape", in: header), let shape = NumPyArray.extents(tuple)
        else { throw fail("its header is not understood: \(header.prefix { $0 != "\n" })") }
        guard type == "'<f4'" || type == "'<f8'" else {
            throw fail(
                "has elements of type \(type); those that are read are '<f4' and '<f8'",
                "Save array.astype('<f4').")
        }
        guard order == "False" else {
            throw fail("is in Fortran's order", "Save numpy.ascontiguousarray(array).")
        }
        let width = type == "'<f4'" ? 4 : 8
        var size = width
        for extent in shape {
            let (product, overflow) = size.multipliedReportingOverflow(by: extent)
            guard !overflow else { throw fail("has an impossible shape, \(tuple)") }
            size = product
        }
        guard size == fileSize - start else {
            throw fail("its shape \(tuple) takes \(size) bytes, and there are \(fileSize - start)")
        }
        self.init(shape: shape, width: width, start: start)
    }
}
