import Foundation

/// A safetensors file in memory: named tensors and a string map (https://github.com/huggingface/safetensors,
/// format).
///
/// Equal contents give equal bytes: the writer sorts names and metadata.
public struct TensorFile: Sendable, Equatable {
    /// The types of elements that are read and written, by their names in the format. Those of 16 bits are IEEE 754's
    /// binary16, and the upper half of a float.
    public enum ElementType: String, Sendable, CaseIterable {
        case float32 = "F32", float64 = "F64", int32 = "I32", int64 = "I64", uint8 = "U8"
        case float16 = "F16", bfloat16 = "BF16"

        var size: Int {
            switch self {
            case .uint8: 1
            case .float16, .bfloat16: 2
            case .float32, .int32: 4
            case .float64, .int64: 8
            }
        }
    }

    /// An array of the file.
    public struct Entry: Sendable, Equatable {
        /// The type of its elements.
        public let type: ElementType
        /// Its extents, outermost first.
        public let shape: [Int]
        /// The elements, row-major, little-endian.
        public let bytes: [UInt8]

        /// An array of single-precision values; `shape` must hold as many.
        public init(_ values: [Float], shape: [Int]) { self.init(.float32, values, shape) }
        /// An array of double-precision values; `shape` must hold as many.
        public init(_ values: [Double], shape: [Int]) { self.init(.float64, values, shape) }
        /// An array of bytes; `shape` must hold as many.
        public init(_ values: [UInt8], shape: [Int]) { self.init(.uint8, values, shape) }

        /// An array of 16 bits an element: float16 or bfloat16.
        package init(_ type: ElementType, _ bits: [UInt16], shape: [Int]) {
            precondition(type == .float16 || type == .bfloat16)
            self.init(type, bits, shape)
        }

        private init<Element: BitwiseCopyable>(_ type: ElementType, _ values: [Element], _ shape: [Int]) {
            precondition(shape.reduce(1, *) == values.count)
            self.type = type
            self.shape = shape
            bytes = values.withUnsafeBytes { Array($0) }
        }

        fileprivate init(type: ElementType, shape: [Int], bytes: [UInt8]) {
            self.type = type
            self.shape = shape
            self.bytes = bytes
        }

        /// The values as floats, which those of 16 bits become exactly; nil for another type.
        public var floats: [Float]? {
            switch type {
            case .float32: values(.float32)
            case .float16: values(.float16)?.map(Float.init(half:))
            case .bfloat16: values(.bfloat16)?.map { (bits: UInt16) in Float(bitPattern: UInt32(bits) << 16) }
            default: nil
            }
        }
        /// The values as doubles; nil for another type.
        public var doubles: [Double]? { values(.float64) }

        private func values<Element: BitwiseCopyable>(_ expected: ElementType) -> [Element]? {
            guard type == expected else { return nil }
            let count = bytes.count / MemoryLayout<Element>.size
            return [Element](unsafeUninitializedCapacity: count) { buffer, initialized in
                bytes.withUnsafeBytes { UnsafeMutableRawBufferPointer(buffer).copyMemory(from: $0) }
                initialized = count
            }
        }
    }

    /// The free text by key: the format's `__metadata__`.
    public var metadata: [String: String]
    /// The arrays by name.
    public var tensors: [String: Entry]

    /// A file of these contents; nothing is written yet.
    public init(metadata: [String: String] = [:], tensors: [String: Entry] = [:]) {
        self.metadata = metadata
        self.tensors = tensors
    }

    // MARK: Writing

    /// The file's bytes.
    public func encoded() throws -> [UInt8] {
        let parts = try encodedParts()
        return parts.count == 1 ? parts[0] : parts.flatMap { $0 }
    }

    /// Above so many bytes an array is a part of its own: it is not copied once more.
    private static let largeArray = 1 << 20

    /// The file's bytes in parts, one after the other.
    private func encodedParts() throws -> [[UInt8]] {
        var header: [String: Any] = [:]
        if !metadata.isEmpty { header["__metadata__"] = metadata }
        var offset = 0
        // Widest elements first, then by name, so that every tensor is aligned.
        let order = tensors.sorted { ($1.value.type.size, $0.key) < ($0.value.type.size, $1.key) }
        for (name, entry) in order {
            header[name] =
                [
                    "dtype": entry.type.rawValue, "shape": entry.shape,
                    "data_offsets": [offset, offset + entry.bytes.count],
                ] as [String: Any]
            offset += entry.bytes.count
        }
        var json = try JSONSerialization.data(
            withJSONObject: header, options: [.sortedKeys, .withoutEscapingSlashes])
        json.append(contentsOf: [UInt8](repeating: 0x20, count: (8 - json.count % 8) % 8))
        var parts: [[UInt8]] = [], part: [UInt8] = []
        withUnsafeBytes(of: UInt64(json.count).littleEndian) { part.append(contentsOf: $0) }
        part.append(contentsOf: json)
        for (_, entry) in order {
            if entry.bytes.count < Self.largeArray {
                part.append(contentsOf: entry.bytes)
            } else {
                parts += [part, entry.bytes]
                part = []
            }
        }
        return part.isEmpty ? parts : parts + [part]
    }

    /// Writes the file whole or not at all.
    public func write(to path: String) throws { try AtomicFile.write(parts: try encodedParts(), to: path) }

    // MARK: Reading

    /// Reads and checks a whole file.
    ///
    /// - Throws: `OCCError`: `.noInput` when it cannot be opened, `.badData` when it is not a sound
    ///   safetensors file.
    public init(contentsOf path: String) throws {
        try self.init(bytes: try readFile(path), name: path)
    }

    private static let headerLimit = 100_000_000

    /// Reads and checks a file that is in memory.
    ///
    /// - Parameter name: what errors call the file.
    /// - Throws: `OCCError(.badData)` when it is not a sound safetensors file.
    public init(bytes: [UInt8], name: String) throws {
        func fail(_ why: String) -> OCCError {
            OCCError(
                .badData, "\(name): \(why)", remedy: "The file is damaged, or is not a safetensors file.")
        }
        guard bytes.count >= 8 else { throw fail("\(bytes.count) bytes are too few") }
        let length = bytes.withUnsafeBytes { UInt64(littleEndian: $0.loadUnaligned(as: UInt64.self)) }
        guard length <= Self.headerLimit, length <= bytes.count - 8 else {
            throw fail("a header of \(length) bytes in a file of \(bytes.count)")
        }
        let headerEnd = 8 + Int(length)
        guard bytes[8..<headerEnd].first == UInt8(ascii: "{"),
            let root = try? JSONSerialization.jsonObject(with: Data(bytes[8..<headerEnd])),
            let header = root as? [String: Any]
        else { throw fail("the header is not a JSON object") }

        var metadata: [String: String] = [:], tensors: [String: Entry] = [:]
        var spans: [(Int, Int)] = []
        for (key, value) in header {
            if key == "__metadata__" {
                guard let map = value as? [String: String] else {
                    throw fail("__metadata__ is not a map of strings")
                }
                metadata = map
                continue
            }
            guard let record = value as? [String: Any], let typeName = record["dtype"] as? String,
                let shape = record["shape"] as? [Int], let offsets = record["data_offsets"] as? [Int],
                offsets.count == 2
            else { throw fail("the entry of tensor '\(key)' is malformed") }
            guard let type = ElementType(rawValue: typeName) else {
                throw OCCError(
                    .badData, "\(name): tensor '\(key)' has type \(typeName), which is not read",
                    remedy: "Write the file with arrays of these types: "
                        + "\(ElementType.allCases.map(\.rawValue).joined(separator: ", ")).")
            }
            var size = type.size
            for dimension in shape {
                let (product, overflow) = size.multipliedReportingOverflow(by: dimension)
                guard dimension >= 0, !overflow else { throw fail("tensor '\(key)' has an impossible shape") }
                size = product
            }
            guard offsets[0] >= 0, offsets[0] <= offsets[1], offsets[1] <= bytes.count - headerEnd,
                offsets[1] - offsets[0] == size
            else { throw fail("tensor '\(key)' lies outside the file or does not fit its shape") }
            spans.append((offsets[0], offsets[1]))
            tensors[key] = Entry(
                type: type, shape: shape,
                bytes: Array(bytes[(headerEnd + offsets[0])..<(headerEnd + offsets[1])]))
        }
        // No holes and no overlaps: the spans, in order, cover the data exactly.
        var end = 0
        for span in spans.sorted(by: { $0 < $1 }) {
            guard span.0 == end else { throw fail("the tensors overlap or leave holes") }
            end = span.1
        }
        guard end == bytes.count - headerEnd else {
            throw fail("\(bytes.count - headerEnd - end) bytes belong to no tensor")
        }
        self.init(metadata: metadata, tensors: tensors)
    }
}

extension Float {
    /// The value of IEEE 754's binary16 with these bits.
    init(half bits: UInt16) {
        let sign = UInt32(bits >> 15) << 31, exponent = UInt32(bits >> 10 & 0x1F),
            fraction = UInt32(bits & 0x3FF)
        switch exponent {
        case 0: self = Float(fraction) * 0x1p-24 * (sign == 0 ? 1 : -1)
        case 0x1F: self.init(bitPattern: sign | 0x7F80_0000 | fraction << 13)
        default: self.init(bitPattern: sign | (exponent + 112) << 23 | fraction << 13)
        }
    }
}
