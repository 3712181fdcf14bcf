import OCCData

/// What a report shows where there is nothing to test on: the scores of the held-out images, and which normal
/// images look least normal.
extension Report {
    /// Training images that are scored at most, evenly taken.
    private static let mostScored = 500

    /// The held-out scores, and the pictures with the highest.
    func normalSections() throws -> String {
        let note =
            "<p>There are no test images: how many anomalies the model finds is not known. What follows helps to find "
            + "out whether all images that it learned from are normal.</p>"
        return try note + heldOutChart()
            + pictures(
                split.calibration, split.calibrationNames, title: "Held-out images with the highest scores",
                note:
                    "Neither encoder nor detector has seen these: a score far above the others is of an unusual image."
            )
            + pictures(
                split.train, split.trainNames, title: "Training images with the highest scores",
                note:
                    "The detector was fitted on these, so that their scores are lower than those of new images. "
                    + "Remove images that are not normal, and train again.")
    }

    private func heldOutChart() -> String {
        let scores = model.calibration.scores
        guard !scores.isEmpty else { return "" }
        // Of many, an even choice.
        let count = min(scores.count, 200)
        let shown = (0..<count).map { scores[$0 * scores.count / count] }
        let chart = Chart.scores(
            [(name: split.normalClass, isNormal: true, scores: shown)], threshold: evaluation.threshold,
            ordinary: scores[scores.count / 2], alarm: evaluation.threshold ?? scores.last!,
            description: "Scores that calibrate the threshold")
        return
            "<h2>Held-out scores</h2><figure>\(chart)<figcaption>Each dot is a normal image that the detector was "
            + "not fitted on. The scale is linear up to the threshold and logarithmic far above.</figcaption></figure>"
    }

    /// The pictures of some images with the highest scores; nothing without images.
    private func pictures(_ images: ImageBatch, _ names: [String], title: String, note: String) throws
        -> String
    {
        let count = min(images.count, Self.mostScored)
        guard count > 0 else { return "" }
        let some = (0..<count).map { $0 * images.count / count }
        let scores = try model.score(images.subset(some))
        let order = scores.indices.sorted { (scores[$1], $0) < (scores[$0], $1) }.prefix(shown)
        let chosen = images.subset(order.map { some[$0] })
        let maps = model.localizes ? try model.localize(chosen).map(\.map) : nil
        var result = "<h2>\(title)</h2><p class=\"soft\">\(note)"
        result += count < images.count ? " Of \(images.count) images \(count) were scored.</p>" : "</p>"
        result += "<div class=\"images\">"
        for (place, index) in order.enumerated() {
            result += try figure(
                chosen.image(place), score: scores[index], map: maps?[place], name: names[some[index]],
                kind: split.normalClass)
        }
        return result + "</div>" + (maps == nil ? "" : mapNote(of: "Beside each image its map."))
    }
}
