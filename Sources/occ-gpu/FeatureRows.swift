import OCCCommandLine
import OneClass

/// Features in a .npy file, and what each row is of: a line each of the file beside it.
enum FeatureRows {
    static func isNamed(_ path: String) -> Bool { path.hasSuffix(".npy") }

    /// The file that says what the rows are of: features.npy has features.paths.txt.
    static func paths(of file: String) -> String { "\(withoutExtension(file)).paths.txt" }

    /// Reads a matrix, rows x columns.
    ///
    /// - Throws: `OCCError(.badData)` naming the file, for an array of another shape, or the first number
    ///   that is not finite.
    static func read(_ path: String) throws -> FeatureMatrix {
        let array = try NumPyArray(contentsOf: path)
        guard array.shape.count == 2, array.shape[1] > 0 else {
            throw OCCError(
                .badData, "\(path): has the shape \(array.shape); features are rows x columns",
                remedy: "Save an array of two dimensions.")
        }
        let columns = array.shape[1]
        if let place = array.values.firstIndex(where: { !$0.isFinite }) {
            throw OCCError(
                .badData,
                "\(path): row \(place / columns), column \(place % columns) is \(array.values[place])",
                remedy: "Features must be finite, in single precision.")
        }
        return FeatureMatrix(rows: array.shape[0], columns: columns, values: array.values)
    }

    /// What the rows of a file are called: by the file beside it, where that has as many lines, or by their
    /// numbers.
    static func names(of path: String, rows: Int) throws -> [String] {
        let numbers = (0..<rows).map { "\(path):\($0)" }
        guard let bytes = try readFileIfPresent(paths(of: path)) else { return numbers }
        let lines = bytes.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false).dropLast()
        guard lines.count == rows else {
            say(
                "warning: \(paths(of: path)) has \(lines.count) lines, and there are \(rows) rows: these are numbered"
            )
            return numbers
        }
        return lines.map { PathText.decode($0) }
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

/// Prints the score of each row of files of features.
func scoreFeatures(_ paths: [String], of model: FeatureModel, _ format: ScoreFormat) throws {
    guard paths.allSatisfy(FeatureRows.isNamed) else {
        throw OCCError(.usage, "images and features (.npy) are of different models", remedy: "Give one kind.")
    }
    ThresholdOptions.announce(model.calibration)
    if format == .csv { try emit(CSV.row(ScoreRow.columns)) }
    for path in paths {
        let features = try FeatureRows.read(path)
        guard features.columns == model.columns else {
            throw OCCError(
                .badData,
                "\(path): has \(features.columns) columns, and the detector was fitted on \(model.columns)")
        }
        for (name, score) in zip(
            try FeatureRows.names(of: path, rows: features.rows), try model.score(features))
        {
            try emit(try format.line(ScoreRow(name, score, model.calibration)))
        }
    }
}
