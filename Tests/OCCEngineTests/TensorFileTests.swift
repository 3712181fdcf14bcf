import OCCEngine
import TestSupport
import Testing

@Suite struct TensorFileTests {
    private static let file = TensorFile(
        metadata: ["step": "7", "note": "a \"quoted\" / slash, ünïcode"],
        tensors: [
            "weight": .init([Float](arrayLiteral: 1, -2.5, .infinity, 0), shape: [2, 2]),
            "scores": .init([0.1, 2e300], shape: [2]), "bytes": .init([UInt8](0..<7), shape: [7]),
            "empty": .init([Float](), shape: [0, 3]),
        ])

    @Test func survivesARoundTrip() throws {
        let bytes = try Self.file.encoded()
        #expect(try TensorFile(bytes: bytes, name: "x") == Self.file)
        #expect(try Self.file.encoded() == bytes)
    }

    /// Large arrays are written by themselves, and the file is the same.
    @Test func largeArraysAreWrittenWhole() throws {
        let folder = try TemporaryFolder(), large = 1 << 18
        let file = TensorFile(
            metadata: ["step": "1"],
            tensors: [
                "a": .init([1.5], shape: [1]), "b": .init((0..<large).map { Float($0) }, shape: [large]),
                "c": .init([Float(2)], shape: [1]),
                "d": .init((0..<4 * large).map { UInt8(truncatingIfNeeded: $0) }, shape: [4 * large]),
                "e": .init([UInt8(3)], shape: [1]),
            ])
        try file.write(to: folder.file("x"))
        let bytes = try readFile(folder.file("x"))
        #expect(try bytes == file.encoded() && bytes.count > 8 * large)
        #expect(try TensorFile(bytes: bytes, name: "x") == file)
    }

    /// Values of 16 bits, from the tables of IEEE 754: the ends of each range, what is next to one, and no numbers.
    @Test func halvesAreFloats() throws {
        let halves: [(UInt16, Float)] = [
            (0x0000, 0), (0x0001, 0x1p-24), (0x83FF, -0x1.FF8p-15), (0x0400, 0x1p-14),
            (0x3555, 0.333251953125),
            (0x3C00, 1), (0x3C01, 1.0009765625), (0xC000, -2), (0x7BFF, 65504), (0xFC00, -.infinity),
        ]
        let brains: [(UInt16, Float)] = [
            (0x0001, 0x1p-133), (0x3F80, 1), (0x3F81, 1.0078125), (0xC049, -3.140625), (0x7F80, .infinity),
        ]
        for (type, table) in [(TensorFile.ElementType.float16, halves), (.bfloat16, brains)] {
            let entry = TensorFile.Entry(type, table.map(\.0) + [0x8000, 0x7FC1], shape: [table.count + 2])
            let file = TensorFile(tensors: ["a": entry, "b": .init([UInt8](0..<3), shape: [3])])
            let read = try #require(try TensorFile(bytes: file.encoded(), name: "x").tensors["a"])
            #expect(read == entry && read.doubles == nil)
            let values = try #require(read.floats)
            #expect(Array(values.dropLast(2)) == table.map(\.1))
            #expect(
                values[table.count] == 0 && values[table.count].sign == .minus && values.last?.isNaN == true)
        }
    }

    /// A type that is not read is named, with those that are.
    @Test func otherTypesAreNamed() {
        let header = #"{"a":{"dtype":"F8_E4M3","shape":[2],"data_offsets":[0,2]}}"#
        let bytes =
            [UInt8(header.utf8.count)] + [UInt8](repeating: 0, count: 7) + Array(header.utf8) + [0, 0]
        let error = #expect(throws: OCCError.self) { try TensorFile(bytes: bytes, name: "x") }
        #expect(error?.message == "x: tensor 'a' has type F8_E4M3, which is not read")
        #expect(error?.remedy?.contains("F32, F64, I32, I64, U8, F16, BF16") == true)
    }

    @Test func damagedFilesAreErrors() throws {
        let result = fuzz(try Self.file.encoded(), name: "m.safetensors") {
            _ = try TensorFile(bytes: $0, name: "m.safetensors")
        }
        #expect(result.failures == [])
        #expect(result.refused > 1000)
    }

    /// Headers that lie: overlaps, holes, sizes that overflow, offsets beyond the end.
    @Test(arguments: [
        #"{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"b":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}"#,
        #"{"a":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}}"#,
        #"{"a":{"dtype":"F32","shape":[4611686018427387904,4],"data_offsets":[0,8]}}"#,
        #"{"a":{"dtype":"F32","shape":[-1,-2],"data_offsets":[0,8]}}"#,
        #"{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}"#,
        #"{"a":{"dtype":"F32","shape":[2],"data_offsets":[8,0]}}"#,
        #"{"a":{"dtype":"F32","shape":[100],"data_offsets":[0,400]}}"#,
        #"{"a":{"dtype":"X8","shape":[2],"data_offsets":[0,8]}}"#, "[]", "{", "null", #"{"a":3}"#,
    ])
    func lyingHeadersAreErrors(_ header: String) {
        var bytes = [UInt8](repeating: 0, count: 8)
        bytes[0] = UInt8(header.utf8.count)
        bytes += Array(header.utf8) + [UInt8](repeating: 0, count: 8)
        #expect(throws: OCCError.self) { try TensorFile(bytes: bytes, name: "lie") }
    }

    @Test func writesAreWholeOrNotThere() throws {
        let folder = try TemporaryFolder()
        try Self.file.write(to: folder.file("a"))
        #expect(try TensorFile(contentsOf: folder.file("a")) == Self.file)
        let error = #expect(throws: OCCError.self) { try Self.file.write(to: folder.file("missing/a")) }
        #expect(error?.kind == .cannotCreate)
        #expect(throws: OCCError.self) { try TensorFile(contentsOf: folder.path) }
    }
}
