import Foundation
import OCCCommandLine
import OneClass

/// What `localize` writes of the regions above the threshold, image by image: a line of JSON, in the file as soon as it is
/// known, and a mask.
final class RegionOutput {
    private let model: OneClassModel
    private let threshold: Double
    private let lines: AppendedFile?
    private let masks: PictureFolder?
    private var images = 0

    /// Nothing where neither is asked for.
    ///
    /// - Throws: `OCCError(.usage)` for a model without a threshold, `.cannotCreate` for the file and the masks' folder.
    init?(_ model: OneClassModel, regions: String?, masks: String?) throws {
        guard regions != nil || masks != nil else { return nil }
        guard let threshold = model.mapCalibration.threshold else {
            throw OCCError(
                .usage, "--regions and --masks are of what is above the threshold, and the model has none",
                remedy: model.mapUnit == .patch
                    ? "Give --threshold." : "Train with images held out: their maps calibrate it.")
        }
        (self.model, self.threshold) = (model, threshold)
        lines = try regions.map {
            try AppendedFile(
                $0, flags: O_CREAT | O_TRUNC, remedy: "Check that the folder exists and can be written.")
        }
        self.masks = try masks.map { try PictureFolder($0) }
    }

    /// Adds an image by its map, which is as large as the image.
    ///
    /// - Parameter calibration: the one for images of its size; nil where there is none: regions are then above the
    ///   model's threshold, and have no p-value.
    func add(
        _ map: [Float], width: Int, score: Double, _ calibration: ThresholdCalibration?, of name: String
    ) throws {
        let threshold = calibration?.threshold ?? threshold
        var mask: String?
        if let masks {
            let values: [UInt8] = map.map { Double($0) > threshold ? 255 : 0 }
            mask = try masks.write(encodePNG(gray: values, width: width), .mask, of: name)
        }
        guard let lines else { return }
        let found = AnomalousRegion.regions(of: map, width: width, above: threshold)
        let regions = found.map { region -> [String: Any] in
            let p = calibration?.pValue(region.peak)
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
        try lines.append(line: try ScoreRow.json(fields))
        images += 1
    }

    /// Says what was written: how many images have their line.
    func finish() {
        if let lines { say("wrote \(lines.path): \(counted(images, "image"))") }
    }
}
