import OCCEngine

/// The data sets that are drawn rather than loaded, from a seed: the same on every machine.
enum BuiltinDataset {
    /// The data sets there are.
    static let all: [any BuiltinPictures.Type] = [
        BuiltinShapes.self, BuiltinSurface.self, BuiltinPart.self, BuiltinWheel.self,
    ]

    /// Draws the data set of `builtin`, `builtin:shapes`, `builtin:surface,seed=7`.
    static func load(_ location: String, imageSize: Int?) throws -> ImageDataset {
        let (kind, seed) = try parse(location)
        return try kind.init(side: imageSize ?? kind.defaultSide, seed: seed).dataset()
    }

    /// A glance at a data set of such a name; nil for any other location.
    static func glance(_ location: String) throws -> DatasetGlance? {
        guard isBuiltin(location) else { return nil }
        return DatasetGlance(hasDefects: true, side: try parse(location).kind.defaultSide)
    }

    static func isBuiltin(_ location: String) -> Bool {
        location == "builtin" || location.hasPrefix("builtin:")
    }

    /// What is drawn, and its seed.
    private static func parse(_ location: String) throws -> (kind: any BuiltinPictures.Type, seed: UInt64) {
        let parts = location.dropFirst("builtin".count).drop { $0 == ":" }.split(separator: ",")
        let name = parts.first.map(String.init) ?? "shapes"
        var seed: UInt64 = 1
        for option in parts.dropFirst() {
            guard option.hasPrefix("seed="), let value = UInt64(option.dropFirst(5)) else {
                throw OCCError(
                    .usage, "\(location): '\(option)' is not understood", remedy: "There is seed=NUMBER.")
            }
            seed = value
        }
        let full = "builtin:\(name)"
        guard let kind = all.first(where: { $0.name == full }) else {
            throw OCCError(
                .usage, "\(location): no such built-in data set",
                remedy: "There are \(all.map { $0.name }.joined(separator: ", ")).")
        }
        return (kind, seed)
    }
}
