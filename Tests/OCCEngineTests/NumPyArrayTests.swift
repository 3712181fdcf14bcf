import Foundation
import OCCEngine
import TestSupport
import Testing

/// NumPy's files, as `Tests/Fixtures/make_numpy_fixtures.py` had NumPy write them.
@Suite struct NumPyArrayTests {
    private static func file(_ name: String) throws -> [UInt8] {
        try readFile(fixturePath("numpy/\(name).npy"))
    }

    private static let values = (0..<3).flatMap { row in (0..<5).map { Float(10 * row + $0) + 0.25 } }

    @Test(arguments: [
        ("single", [3, 5]), ("double", [3, 5]), ("cube", [3, 1, 5]), ("empty", [0, 5]), ("row", [5]),
    ])
    func whatNumPyWritesIsRead(_ name: String, _ shape: [Int]) throws {
        let array = try NumPyArray(bytes: try Self.file(name), name: name)
        #expect(array.shape == shape)
        let expected = name == "row" ? Array(Self.values[5..<10]) : name == "empty" ? [] : Self.values
        #expect(array.values == expected)
    }

    /// Any part of a file is that of the whole array.
    @Test(arguments: ["single", "double", "cube"]) func partsAreRead(_ name: String) throws {
        let file = try NumPyFile(contentsOf: fixturePath("numpy/\(name).npy"))
        #expect(file.shape == (try NumPyArray(bytes: try Self.file(name), name: name).shape))
        for first in 0..<15 {
            for end in first...15 {
                #expect(try file.values(first..<end) == Array(Self.values[first..<end]))
            }
        }
        #expect(try NumPyFile(contentsOf: fixturePath("numpy/empty.npy")).values(0..<0) == [])
    }

    /// What is refused is what `NumPyArray` refuses; a file that is cut off while it is open is an error too.
    @Test func otherFilesAreNotOpened() throws {
        let folder = try TemporaryFolder(), whole = try Self.file("double")
        for bytes in [
            [], Array(whole.prefix(60)), Array(whole.dropLast()), whole + [0], try Self.file("half"),
        ] {
            let path = try folder.write(bytes, to: "x.npy")
            let error = #expect(throws: OCCError.self) { try NumPyFile(contentsOf: path) }
            #expect(error?.kind == .badData && error?.message.hasPrefix(path) == true)
        }
        #expect(throws: OCCError.self) { try NumPyFile(contentsOf: folder.file("none.npy")) }
        let path = try folder.write(whole, to: "cut.npy"), file = try NumPyFile(contentsOf: path)
        #expect(truncate(path, off_t(whole.count - 8)) == 0)
        #expect(try file.values(0..<14) == Array(Self.values.prefix(14)))
        let error = #expect(throws: OCCError.self) { try file.values(0..<15) }
        #expect(error?.kind == .badData && error?.message.contains("cut.npy: has become shorter") == true)
    }

    /// The bytes are NumPy's own.
    @Test func whatIsWrittenIsNumPys() throws {
        #expect(NumPyArray(Self.values, shape: [3, 5]).encoded == (try Self.file("single")))
        #expect(NumPyArray(Array(Self.values[5..<10]), shape: [5]).encoded == (try Self.file("row")))
        #expect(NumPyArray([], shape: [0, 5]).encoded == (try Self.file("empty")))
    }

    @Test(arguments: [
        ("big-endian", "'>f4'"), ("half", "'<f2'"), ("whole", "'<i8'"), ("complex", "'<c8'"),
        ("flags", "'|b1'"), ("structure", "('a', '<f4')"), ("fortran", "Fortran's order"),
        ("version2", "version 2.0"),
    ])
    func otherFilesAreRefused(_ name: String, _ word: String) throws {
        let bytes = try Self.file(name)
        let error = #expect(throws: OCCError.self) { try NumPyArray(bytes: bytes, name: "\(name).npy") }
        #expect(error?.kind == .badData && error?.message.hasPrefix("\(name).npy: ") == true)
        #expect(error?.message.contains(word) == true, "\(error?.message ?? "")")
    }

    /// A file that is cut off anywhere, or says another shape, is an error and no trap.
    @Test func damagedFilesAreErrors() throws {
        let whole = try Self.file("double")
        for count in 0..<whole.count {
            #expect(throws: OCCError.self) { try NumPyArray(bytes: Array(whole.prefix(count)), name: "x") }
        }
        #expect(throws: OCCError.self) { try NumPyArray(bytes: whole + [0], name: "x") }
        let text = String(decoding: whole.prefix(128).dropFirst(10), as: UTF8.self)
        for shape in [
            "(3, 4)", "(-3, -5)", "(3, 5", "[3, 5]", "(3.0, 5)", "(9223372036854775807, 9223372036854775807)",
            "()", "3",
        ] {
            let header = text.replacing("(3, 5)", with: shape)
            let bytes = Array(whole.prefix(8)) + [UInt8(header.utf8.count), 0] + Array(header.utf8)
            #expect(throws: OCCError.self, "\(shape)") {
                try NumPyArray(bytes: bytes + whole.dropFirst(128), name: "x")
            }
        }
        // Keys in another order, and without spaces, as other programs write them.
        let header = "{'shape':(3,5),'fortran_order':False,'descr':'<f8'}\n"
        let bytes = Array(whole.prefix(8)) + [UInt8(header.utf8.count), 0] + Array(header.utf8)
        #expect(try NumPyArray(bytes: bytes + whole.dropFirst(128), name: "x").values == Self.values)
    }
}
