import Foundation
import OCCData
import OCCEngine

/// Where images are anomalous: by a model of patches, by the maps of an encoder, or by a method that scores pixels.
extension OneClassModel {
    /// The scores of an image, and of its pixels.
    public struct Localized: Sendable {
        /// The score of the image: the highest of its patches', or what the method or the detector of maps gives it.
        public let score: Double
        /// The scores of height x width pixels, whose threshold is `OneClassModel.mapCalibration`: of patches the means of
        /// those that cover a pixel, and so below the score; a method's own are far above it at their highest.
        public let map: [Float]
        /// Whether the image is of the size that the threshold is for. A larger one has more patches, whose
        /// highest score is higher in normal images too: it says nothing about alarms.
        public let isCalibrated: Bool
    }

    /// Whether it finds where images are anomalous: a model of patches, of an encoder's maps, or of a method that scores
    /// pixels.
    public var localizes: Bool { grid != nil || detector.mapping != nil || ownMaps != nil }

    /// What a map is the scores of.
    public enum MapUnit: String, Sendable {
        /// Patches, or places of an encoder's map, whose scores are spread to pixels.
        case patch
        /// Pixels, which the method scores itself.
        case pixel
    }

    /// What its maps are the scores of.
    public var mapUnit: MapUnit { ownMaps == nil ? .patch : .pixel }

    private static var localizingRemedy: Wording {
        let able = Methods.registry.entries.filter { $0 is any MapScoring }.map(\.name).joined(
            separator: " or ")
        return
            "Train with \(setting: "patch") 32 (or 64), or \(setting: "method") \(able) and its own score; or use explain."
    }

    private var seesWholeImagesError: OCCError {
        OCCError(
            .usage, "the model sees whole images and does not localize", remedy: Self.localizingRemedy)
    }

    /// Checks that it localizes, before anything is written of where.
    ///
    /// - Throws: `OCCError(.usage)` for a model that does not.
    package func requireLocalizing() throws {
        guard localizes else { throw seesWholeImagesError }
    }

    private func requireGrid() throws -> PatchGrid {
        guard let grid else { throw seesWholeImagesError }
        return grid
    }

    /// Scores images and their pixels; for a model that localizes only.
    ///
    /// - Throws: `OCCError(.usage)` for another one.
    public func localize(_ images: ImageBatch) throws -> [Localized] {
        if let ownMaps { return try ownMaps.localize(images) }
        if let mapping = detector.mapping { return try localize(images, by: mapping) }
        let grid = try requireGrid(), scores = try patchScores(of: images), scale = mapScale
        let found = parallelMap(images.count) { image in
            Self.localized(
                scores[image * grid.count..<(image + 1) * grid.count], grid, scale, isCalibrated: true)
        }
        for one in found { try DetectorFitting.requireFinite(one.map, name) }
        return found
    }

    /// The maps of some images at a time, as their features are many.
    private func localize(_ images: ImageBatch, by classifier: any MapClassifier) throws -> [Localized] {
        let portion = 16
        return try Work.track("scoring", "images", total: images.count) { work in
            try stride(from: 0, to: images.count, by: portion).flatMap { first in
                let some = images.subset(first..<min(first + portion, images.count))
                let features = try scoring.features.features(
                    of: some, places: PatchPlace.all(of: some, grid: nil), program: program, work: work)
                return try classifier.maps(features).map { found in
                    try DetectorFitting.requireFinite(found.map, name)
                    return Localized(score: found.score, map: found.map, isCalibrated: true)
                }
            }
        }
    }

    /// The score and the map of an image of any size at its own resolution, by tiles of the size the model
    /// was trained on: beyond the image, its scores and its map, memory does not grow with it.
    ///
    /// - Throws: `OCCError(.usage)` for a model of whole images, or with a detector for each location;
    ///   `OCCError(.badData)` for an image smaller than a patch.
    public func localize(_ image: RGBImage) throws -> Localized {
        guard detector.mapping == nil, ownMaps == nil else {
            let name = ownMaps == nil ? configuration.detector.name : configuration.method.name
            throw OCCError(
                .usage,
                "\(name) sees whole images of \(side) x \(side), and has no threshold for those of other sizes",
                remedy:
                    "Leave \(setting: "full-size") out, train with a larger \(setting: "image-size"), or train "
                    + "with \(setting: "patch") 32 and another \(setting: "detector"), such as knn.")
        }
        let own = try requireGrid()
        guard configuration.locations == .shared else {
            throw OCCError(
                .usage, "a detector for each location takes images of the size it was trained on",
                remedy: "Train with \(setting: "locations") shared, or leave \(setting: "full-size") out.")
        }
        guard min(image.width, image.height) >= own.patch else {
            throw OCCError(
                .badData,
                "an image of \(image.width) x \(image.height) is smaller than a patch of \(own.patch)")
        }
        let grid = PatchGrid(height: image.height, width: image.width, patch: own.patch, stride: own.stride)
        let bands = PatchGrid.tiles(grid.rows, patch: own.patch, side: side)
        let tiles = bands.flatMap { band in
            PatchGrid.tiles(grid.columns, patch: own.patch, side: side).map { (rows: band, columns: $0) }
        }
        var scores = [Double](repeating: 0, count: grid.count)
        try Work.track("scoring", "patches", total: grid.count) { work in
            for first in stride(from: 0, to: tiles.count, by: 16) {
                let some = tiles[first..<min(first + 16, tiles.count)]
                var pixels: [UInt8] = [], parts: [PatchPlace] = [], places: [Int] = []
                for (index, tile) in some.enumerated() {
                    let top = grid.rows[tile.rows.lowerBound], left = grid.columns[tile.columns.lowerBound]
                    pixels += tilePixels(image, top: top, left: left)
                    for row in tile.rows {
                        for column in tile.columns {
                            parts.append(
                                PatchPlace(
                                    image: index, top: grid.rows[row] - top, left: grid.columns[column] - left
                                )
                            )
                            places.append(row * grid.columns.count + column)
                        }
                    }
                }
                let found = try fitting.scores(
                    of: ImageBatch(side: side, pixels: pixels), places: parts, detector, work: work)
                for (place, score) in zip(places, found) { scores[place] = score }
            }
        }
        let found = Self.localized(scores[...], grid, mapScale, isCalibrated: grid == own)
        try DetectorFitting.requireFinite(found.map, name)
        return found
    }

    /// Cuts side x side pixels out of an image, black beyond its edges, where no patch reaches.
    private func tilePixels(_ image: RGBImage, top: Int, left: Int) -> [UInt8] {
        var result = [UInt8](repeating: 0, count: side * side * 3)
        let width = min(side, image.width - left) * 3
        for row in 0..<min(side, image.height - top) {
            let from = ((top + row) * image.width + left) * 3, to = row * side * 3
            result.replaceSubrange(to..<to + width, with: image.pixels[from..<from + width])
        }
        return result
    }

    private static func localized(
        _ scores: ArraySlice<Double>, _ grid: PatchGrid, _ scale: MapScale, isCalibrated: Bool
    ) -> Localized {
        Localized(score: scores.max()!, map: map(scores, grid, scale), isCalibrated: isCalibrated)
    }

    /// Spreads the scores of patches to the pixels that they cover: means, above the threshold of logarithms, as it
    /// were, so that a patch far above it does not drown the other patches that cover a pixel.
    static func map(_ scores: ArraySlice<Double>, _ grid: PatchGrid, _ scale: MapScale) -> [Float] {
        grid.map(scores.map { asinh(($0 - scale.ordinary) / scale.unit) }[...]).map {
            Float(scale.ordinary + scale.unit * sinh(Double($0)))
        }
    }

    /// What the means of maps are on: it stays where thresholds move.
    struct MapScale {
        /// The score of an ordinary patch.
        let ordinary: Double
        /// What counts one above it.
        let unit: Double

        /// The scale of an ordinary patch's score and of one that is unusual.
        init(ordinary: Double, unusual: Double) {
            (self.ordinary, unit) = (ordinary, max(unusual - ordinary, 1e-12))
        }
    }

    /// The scale of the model's maps.
    var mapScale: MapScale { MapScale(ordinary: ordinaryScore, unusual: unusualScore) }

    /// The share of the time of `localize` that the encoder's operations take.
    package func networkShare(_ images: ImageBatch) throws -> Double {
        let start = ContinuousClock.now
        _ = try localize(images)
        let whole = (ContinuousClock.now - start) / .seconds(1)
        let extractor = scoring.features, runs = extractor.runs(images: images.count, grid: grid)
        let network = try zip(extractor.plan.operations, extractor.plan.profile()).reduce(0.0) {
            $0 + ($1.0.name == "gather" ? 0 : $1.1)
        }
        return Double(runs) * network / whole
    }

    /// The scale of its pictures: from an ordinary patch's score, with the threshold in the middle.
    public var scale: ClosedRange<Double> {
        let half = max(alarmScore - ordinaryScore, 1e-12)
        return ordinaryScore...ordinaryScore + 2 * half
    }
}
