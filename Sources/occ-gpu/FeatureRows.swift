import OCCCommandLine
import OneClass

/// Features in a .npy file, and what each row is of: a line each of the file beside it.
enum FeatureRows {
    static func isNamed(_ path: String) -> Bool { path.hasSuffix(".npy") }

    /// The file that says what the rows are of: features.npy has features.paths.txt.
    static func paths(of file: String) -> String { "\(withoutExtension(file)).paths.txt" }

    /// What the rows of a file are called, by their numbers: by the file beside it, where that has as many lines, or
    /// by these.
    static func names(of path: String, rows: Int) throws -> (Int) -> String {
        let numbered = { (row: Int) in "\(path):\(row)" }
        guard let bytes = try readFileIfPresent(paths(of: path)) else { return numbered }
        let lines = bytes.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false)
        guard lines.count - 1 == rows else {
            say(
                "warning: \(paths(of: path)) has \(counted(lines.count - 1, "line")), and there are \(rows) rows: these are numbered"
            )
            return numbered
        }
        return { PathText.decode(lines[$0]) }
    }

    /// Writes a matrix and what its rows are of.
    ///
    /// - Throws: `OCCError(.badData)` for a name that is no line.
    static func write(_ features: FeatureMatrix, names: [String], to path: String) throws {
        if let wrong = names.first(where: { $0.utf8.contains(UInt8(ascii: "\n")) }) {
            throw OCCError(
                .badData, "\(wrong): has a line break in its name", remedy: "Give the file another name.")
        }
        AtomicFile.removeStrays(beside: path)
        let lines = names.flatMap { PathText.encode($0) + [UInt8(ascii: "\n")] }
        try AtomicFile.write(lines, to: paths(of: path))
        let array = NumPyArray(features.values, shape: [features.rows, features.columns])
        try AtomicFile.write(array.encoded, to: path)
    }
}

/// A file of features, rows x columns, of which those rows lie in memory that are asked for.
struct FeatureFile: FeatureSource {
    let rows: Int
    let columns: Int
    private let file: NumPyFile
    private let path: String

    /// Opens the file.
    ///
    /// - Throws: `OCCError(.badData)` naming the file, for an array of another shape; as `NumPyFile` does.
    init(_ path: String) throws {
        file = try NumPyFile(contentsOf: path)
        guard file.shape.count == 2, file.shape[1] > 0 else {
            throw OCCError(
                .badData, "\(path): has the shape \(file.shape); features are rows x columns",
                remedy: "Save an array of two dimensions.")
        }
        (rows, columns, self.path) = (file.shape[0], file.shape[1], path)
    }

    /// Reads neighboring rows.
    ///
    /// - Throws: `OCCError(.badData)` for the first number that is not finite.
    func rows(_ range: Range<Int>) throws -> FeatureMatrix {
        let values = try file.values(range.lowerBound * columns..<range.upperBound * columns)
        if let place = values.firstIndex(where: { !$0.isFinite }) {
            throw OCCError(
                .badData,
                "\(path): row \(range.lowerBound + place / columns), column \(place % columns) is \(values[place])",
                remedy: "Features must be finite, in single precision.")
        }
        return FeatureMatrix(rows: range.count, columns: columns, values: values)
    }

    /// The rows some at a time, in their order.
    var portions: [Range<Int>] {
        let portion = FeatureMatrix.portion(columns: columns)
        return stride(from: 0, to: rows, by: portion).map { $0..<min($0 + portion, rows) }
    }

    func subset(_ indices: some Collection<Int>) throws -> FeatureMatrix {
        var values: [Float] = [], read = 0..<0, chunk: [Float] = []
        values.reserveCapacity(indices.count * columns)
        for index in indices {
            if !read.contains(index) {
                read = index..<min(index + Self.readAhead, rows)
                chunk = try rows(read).values
            }
            let first = (index - read.lowerBound) * columns
            values += chunk[first..<first + columns]
        }
        return FeatureMatrix(rows: indices.count, columns: columns, values: values)
    }

    /// Rows that are read at once where single ones are asked for.
    private static let readAhead = 64
}

/// Prints the score of each row of files of features.
func scoreFeatures(_ paths: [String], of model: FeatureModel, _ format: ScoreFormat) throws {
    guard paths.allSatisfy(FeatureRows.isNamed) else {
        throw OCCError(.usage, "images and features (.npy) are of different models", remedy: "Give one kind.")
    }
    ThresholdOptions.announce(model.calibration)
    if format == .csv { try emit(CSV.row(ScoreRow.columns)) }
    for path in paths {
        let features = try FeatureFile(path)
        guard features.columns == model.columns else {
            throw OCCError(
                .badData,
                "\(path): has \(counted(features.columns, "column")), and the detector was fitted on \(model.columns)"
            )
        }
        let name = try FeatureRows.names(of: path, rows: features.rows)
        try Work.track("scoring", "rows", total: features.rows) { work in
            for range in features.portions {
                for (row, score) in zip(range, try model.score(try features.rows(range))) {
                    try emit(try format.line(ScoreRow(name(row), score, model.calibration)))
                }
                work.advance(by: range.count)
            }
        }
    }
}
