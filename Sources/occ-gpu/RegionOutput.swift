import Foundation
import OCCCommandLine
import OneClass

/// What `localize` writes of the regions above the threshold: a line of JSON an image, and masks.
final class RegionOutput {
    private let model: OneClassModel
    private let threshold: Double
    private let path: String?
    private var lines: [UInt8] = []
    private let masks: PictureFolder?

    /// Nothing where neither is asked for.
    ///
    /// - Throws: `OCCError(.usage)` for a model without a threshold, `.cannotCreate` for the masks' folder.
    init?(_ model: OneClassModel, regions: String?, masks: String?) throws {
        guard regions != nil || masks != nil else { return nil }
        guard let threshold = model.mapCalibration.threshold else {
            throw OCCError(
                .usage, "--regions and --masks are of what is above the threshold, and the model has none",
                remedy: model.mapUnit == .patch
                    ? "Give --threshold." : "Train with images held out: their maps calibrate it.")
        }
        (self.model, self.threshold, path) = (model, threshold, regions)
        self.masks = try masks.map { try PictureFolder($0) }
    }

    /// Adds an image by its map, which is as large as the image.
    func add(_ map: [Float], width: Int, score: Double, isCalibrated: Bool, of name: String) throws {
        var mask: String?
        if let masks {
            let values: [UInt8] = map.map { Double($0) > threshold ? 255 : 0 }
            mask = try masks.write(encodePNG(gray: values, width: width), "mask.png", of: name)
        }
        guard path != nil else { return }
        let found = AnomalousRegion.regions(of: map, width: width, above: threshold)
        let regions = found.map { region -> [String: Any] in
            let p = isCalibrated ? model.mapCalibration.pValue(region.peak) : nil
            return [
                "box": [region.box.left, region.box.top, region.box.width, region.box.height],
                "area": region.area, "peak": region.peak, "peak_at": [region.peakColumn, region.peakRow],
                "mean": region.mean, "p_value": p as Any? ?? NSNull(),
            ]
        }
        var fields: [String: Any] = [
            "file": name, "width": width, "height": map.count / width, "score": score,
            "threshold": threshold, "regions": regions,
        ]
        if let mask { fields["mask"] = mask }
        lines += PathText.encode(try ScoreRow.json(fields) + "\n")
    }

    /// Writes the lines, whole or not at all.
    func finish() throws {
        guard let path else { return }
        try AtomicFile.write(lines, to: path)
        say("wrote \(path)")
    }
}
