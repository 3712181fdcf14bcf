import Foundation
import OCCData
import OCCDetectors
import OCCEngine

/// An evaluation as one HTML file that needs nothing else: no script, no font, no network.
public struct Report {
    let model: OneClassModel
    let split: OneClassSplit
    private let scored: ScoredTest
    let evaluation: Evaluation
    /// Images shown in each group.
    let shown = 6

    /// A report of a model's scores on a split, and of the evaluation of these.
    public init(
        _ model: OneClassModel, _ split: OneClassSplit, _ scored: ScoredTest, _ evaluation: Evaluation
    ) {
        self.model = model
        self.split = split
        self.scored = scored
        self.evaluation = evaluation
    }

    /// Writes the page.
    ///
    /// - Parameters:
    ///   - modelPath: the model's file, for its digest.
    ///   - metricsPath: metrics.jsonl of its run, for the learning curves; they are left out where it is
    ///     missing.
    public func html(modelPath: String, metricsPath: String? = nil) throws -> String {
        let data = model.configuration.data.split(separator: "/").last.map(String.init) ?? "images"
        let title = "\(data): \(model.normalClass)"
        let sections = [
            tiles, thresholdSection, comparison,
            split.test.count > 0 ? try testSections() : try normalSections(),
            try metricsPath.flatMap(learningSection) ?? "",
            try originSection(modelPath),
        ]
        return """
            <!doctype html><html lang="en"><head><meta charset="utf-8">
            <meta name="viewport" content="width=device-width,initial-scale=1">
            <title>\(escaped(title))</title><link rel="icon" href="data:,"><style>\(reportStyle)</style></head><body>
            <a class="skip" href="#content">Skip to the results</a><main id="content">
            <p class="soft">Anomaly detection report</p><h1>\(escaped(title))</h1>
            <p class="soft">\(escaped(subtitle))</p>
            \(sections.joined(separator: "\n"))
            </main></body></html>

            """
    }

    private var subtitle: String {
        let c = model.configuration
        let learned = c.scorePatch == nil || c.scorePatch == c.patch ? nil : c.patch
        let seen =
            c.scoredPatch.map { "patches of \($0) pixels\(learned.map { ", learned from \($0)" } ?? "")" }
            ?? "whole images"
        return
            "\(c.method.name) on \(seen) of \(model.side) x \(model.side), encoder \(c.encoder.name), "
            + "\(c.detector.name) detector; \(evaluation.normals) normal and \(evaluation.outliers) anomalous test images"
    }

    // MARK: Numbers

    private func percent(_ value: Double) -> String { FalseAlarmPromise.percent(value) }
    private func score(_ value: Double) -> String { String(format: "%.4g", value) }

    private var tiles: String {
        let values = [
            ("AUROC", evaluation.auroc), ("Average precision", evaluation.averagePrecision),
            ("Best F1", evaluation.bestF1), ("Pixel AUROC", evaluation.pixelAUROC),
            ("AUPRO, 30 % FPR", evaluation.aupro), ("Found at the threshold", evaluation.testDetections),
            ("False alarms", evaluation.testFalseAlarms),
        ]
        let list = values.compactMap { name, value in
            value.map { "<div><dt>\(name)</dt><dd>\(percent($0))</dd></div>" }
        }
        return (list.isEmpty ? "" : "<dl class=\"tiles\">\(list.joined())</dl>")
            + "<p>A higher score is more anomalous.</p>"
    }

    /// What the threshold promises, beside what the test set shows.
    private var thresholdSection: String {
        let promise = evaluation.promise
        let rows = [
            ("Threshold", evaluation.threshold.map(score)), ("Promise", evaluation.thresholdSummary),
            ("Asked for", promise.shortfall), ("False alarms in the test", evaluation.falseAlarmText),
            (
                "Anomalies found",
                Evaluation.text(
                    evaluation.testDetections, evaluation.testDetectionsInterval, of: evaluation.outliers)
            ),
        ]
        let list = rows.compactMap { name, value in
            value.map { "<tr><th scope=\"row\">\(name)</th><td>\(escaped($0))</td></tr>" }
        }
        let warnings = (model.scoreBiases.map(\.warning) + evaluation.warnings).map {
            "<p>Warning: \(escaped($0)).</p>"
        }
        return "<h2>Threshold</h2><table class=\"words\"><tbody>\(list.joined())</tbody></table>"
            + warnings.joined()
    }

    /// What representation and learning are worth; empty where nothing was compared with.
    private var comparison: String {
        let rows = [
            ("This model", evaluation.auroc, evaluation.pixelAUROC, evaluation.aupro),
            (
                "The same without training", evaluation.untrainedAUROC, evaluation.untrainedPixelAUROC,
                evaluation.untrainedAUPRO
            ),
            (
                "Raw pixels" + (evaluation.rawPixelRemark.map { ", \($0)" } ?? ""), evaluation.rawPixelAUROC,
                evaluation.rawPixelPixelAUROC, nil
            ),
        ].filter { $0.1 != nil }
        guard rows.count > 1 else { return "" }
        let lines = rows.map { name, image, pixel, overlap in
            let cells = [image, pixel, overlap].map { "<td>\($0.map(percent) ?? "")</td>" }
            return "<tr><th scope=\"row\">\(name)</th>\(cells.joined())</tr>"
        }
        let head = ["", "AUROC", "Pixel AUROC", "AUPRO"].map { "<th scope=\"col\">\($0)</th>" }
        return "<h2>What learning is worth</h2><table><thead><tr>\(head.joined())</tr></thead>"
            + "<tbody>\(lines.joined())</tbody></table>"
    }

    private var classes: [String] {
        let names = Set(split.testClasses)
        return names.filter { $0 == split.normalClass } + names.filter { $0 != split.normalClass }.sorted()
    }

    private func indices(of name: String) -> [Int] {
        split.testClasses.indices.filter { split.testClasses[$0] == name }
    }

    /// What test images show.
    private func testSections() throws -> String {
        try [scoreSection(), curveSection(), classTable(), imageSection()].joined(separator: "\n")
    }

    private func scoreSection() throws -> String {
        let normals = indices(of: split.normalClass).map { scored.scores[$0] }.sorted()
        let ordinary = normals.isEmpty ? 0 : normals[normals.count / 2]
        let alarm = evaluation.threshold ?? normals.last ?? ordinary + 1
        let groups = classes.map { name in
            // Of many, an even choice.
            let all = indices(of: name), count = min(all.count, 200)
            return (
                name: name, isNormal: name == split.normalClass,
                scores: (0..<count).map { scored.scores[all[$0 * all.count / count]] }
            )
        }
        let chart = Chart.scores(
            groups, threshold: evaluation.threshold, ordinary: ordinary, alarm: alarm,
            description: "Scores of the test images by class")
        return
            "<h2>Scores by class</h2><figure>\(chart)<figcaption>Each dot is a test image; blue ones are normal. "
            + "The scale is linear up to the threshold and logarithmic far above.</figcaption></figure>"
    }

    /// The curves; nothing without both kinds of images.
    private func curveSection() throws -> String {
        guard let auroc = evaluation.auroc, let average = evaluation.averagePrecision else { return "" }
        let metrics = try RankingMetrics(scores: scored.scores, labels: split.testLabels)
        let positives = Double(metrics.positives), negatives = Double(metrics.negatives)
        // At most some hundred points are drawn.
        let points = thinned(metrics.points)
        let roc =
            [(0.0, 0.0)]
            + points.map { (Double($0.falsePositives) / negatives, Double($0.truePositives) / positives) }
        let precision = points.map {
            (
                Double($0.truePositives) / positives,
                Double($0.truePositives) / Double($0.truePositives + $0.falsePositives)
            )
        }
        let first = Chart.lines(
            [
                .init(points: [(0, 0), (1, 1)], style: "guide"),
                .init(points: roc.map { (x: $0.0, y: $0.1) }, style: "line1"),
            ], x: ("false alarms, share of normal images", 1), y: ("found, share of anomalies", 1),
            description: "ROC curve; its area is \(percent(auroc))")
        let second = Chart.lines(
            [.init(points: precision.map { (x: $0.0, y: $0.1) }, style: "line1")],
            x: ("recall", 1), y: ("precision", 1),
            description: "Precision and recall; average precision is \(percent(average))")
        return """
            <h2>Curves</h2><div class="pair"><figure>\(first)<figcaption>ROC: area \(percent(auroc))\
            </figcaption></figure><figure>\(second)<figcaption>Precision and recall: average precision \
            \(percent(average))</figcaption></figure></div>
            """
    }

    private func thinned<Element>(_ all: [Element]) -> [Element] {
        let count = min(all.count, 400)
        return (0..<count).map { all[count == 1 ? 0 : $0 * (all.count - 1) / (count - 1)] }
    }

    /// A row for each class; a column only where there is something to say.
    private func classTable() -> String {
        typealias Column = (name: String, value: (String, [Double]) -> String)
        var columns: [Column] = [("images", { "\($1.count)" })]
        if evaluation.auroc != nil {
            columns.append(
                (
                    "AUROC against normal",
                    { name, _ in evaluation.aurocByClass[name].map(percent) ?? "normal" }
                ))
        }
        if let threshold = evaluation.threshold {
            columns.append(
                ("alarms", { percent(Double($1.count { $0 > threshold }) / Double($1.count)) }))
        }
        columns.append(("median score", { score($1[$1.count / 2]) }))
        let head = (["class"] + columns.map(\.name)).map { "<th scope=\"col\">\($0)</th>" }.joined()
        let rows = classes.map { name in
            let own = indices(of: name).map { scored.scores[$0] }.sorted()
            let cells = columns.map { "<td>\($0.value(name, own))</td>" }.joined()
            return "<tr><th scope=\"row\">\(escaped(name))</th>\(cells)</tr>"
        }
        return """
            <h2>Classes</h2><div class="scroll"><table><thead><tr>\(head)</tr></thead>\
            <tbody>\(rows.joined())</tbody></table></div>
            """
    }

    // MARK: Pictures

    private func imageSection() throws -> String {
        let order = scored.scores.indices.sorted { scored.scores[$0] > scored.scores[$1] }
        let outliers = order.filter { split.testLabels[$0] == 1 },
            normals = order.filter { split.testLabels[$0] == 0 }
        let groups = [
            ("Most anomalous", Array(outliers.prefix(shown))),
            ("Anomalies with the lowest scores", Array(outliers.suffix(shown).reversed())),
            ("Normal images with the highest scores", Array(normals.prefix(shown))),
        ]
        var result = ""
        for (name, chosen) in groups where !chosen.isEmpty {
            result += "<h2>\(name)</h2><div class=\"images\">"
            for index in chosen { result += try figure(index) }
            result += "</div>"
        }
        return result
            + (scored.maps == nil
                ? "" : mapNote(of: "Beside each image its map; a defect's mask is outlined in white."))
    }

    /// What the colors of the maps stand for.
    func mapNote(of what: String) -> String {
        "<p class=\"soft\">\(what) The scale runs from \(score(model.scale.lowerBound)), an ordinary \(model.mapUnit.rawValue), to "
            + "\(score(model.scale.upperBound)); its middle is "
            + (model.mapCalibration.threshold == nil
                ? "the highest of some training images' maps." : "the threshold of maps.") + "</p>"
    }

    private func figure(_ index: Int) throws -> String {
        try figure(
            split.test.image(index), score: scored.scores[index], map: scored.maps?[index],
            mask: split.testLabels[index] == 1 ? split.testMasks[index] : nil, name: split.testNames[index],
            kind: split.testClasses[index])
    }

    /// A picture with its score; beside it the map where there is one.
    func figure(
        _ image: RGBImage, score value: Double, map: [Float]?, mask: [UInt8]? = nil, name: String,
        kind: String
    ) throws -> String {
        let picture = map.map { Overlay.picture(image, map: $0, range: model.scale, mask: mask) }
        let what = map == nil ? "Image" : "Image and anomaly map"
        let bytes = Data(try (picture ?? image.enlarged(to: 128)).encodedPNG()).base64EncodedString()
        let short = name.split(separator: "/").suffix(3).joined(separator: "/")
        return """
            <figure><img alt="\(what) of \(escaped(short)), class \(escaped(kind)), score \(score(value))" \
            loading="lazy" src="data:image/png;base64,\(bytes)"><figcaption>\(escaped(kind)): \(score(value))\
            \(model.calibration.isAlarm(value) == true ? ", alarm" : "")<br>\(escaped(short))</figcaption></figure>
            """
    }

    // MARK: Training and origin

    private func learningSection(_ path: String) throws -> String? {
        guard let text = try readFileIfPresent(path) else { return nil }
        let records = text.split(separator: UInt8(ascii: "\n")).compactMap {
            (try? JSONSerialization.jsonObject(with: Data($0))) as? [String: Any]
        }
        func curve(_ key: String, _ name: String, factor: Double = 1) -> String? {
            let points = thinned(
                records.compactMap { record -> (x: Double, y: Double)? in
                    guard let step = record["step"] as? Double, let value = record[key] as? Double else {
                        return nil
                    }
                    return (step, factor * value)
                })
            guard points.count > 1, let highest = points.map(\.y).max() else { return nil }
            let chart = Chart.lines(
                [.init(points: points, style: "line1")], x: ("step", max(points.last!.x, 1)),
                y: (name, max(highest, 1e-9)), description: "\(name) over the steps of training")
            return "<figure>\(chart)</figure>"
        }
        let charts = [
            curve("loss", "loss"), curve("effective_rank", "effective rank of the features"),
            curve("alignment", "alignment of the embeddings"),
            curve("uniformity", "uniformity of the embeddings, negative", factor: -1),
        ].compactMap { $0 }
        return charts.isEmpty ? nil : "<h2>Training</h2><div class=\"pair\">\(charts.joined())</div>"
    }

    private func originSection(_ modelPath: String) throws -> String {
        let rows = [
            ("data", model.configuration.data), ("model", modelPath),
            ("SHA-256 of the model", sha256(try readFile(modelPath))),
            ("device", model.device.name), ("processor", processorName),
            ("training images for the detector", "\(split.detectorFit.count)"),
            ("images that calibrate the threshold", "\(model.calibration.scores.count)"),
        ].map { "<tr><th scope=\"row\">\(escaped($0.0))</th><td>\(escaped($0.1))</td></tr>" }
        return """
            <h2>Origin</h2><div class="scroll"><table><tbody>\(rows.joined())</tbody></table></div>
            <details><summary>Configuration</summary><pre tabindex="0">\(escaped(try model.configuration.json(pretty: true)))</pre></details>
            """
    }
}

/// What the system calls its processor; "unknown" where it does not say.
package var processorName: String {
    let info = (try? String(contentsOfFile: "/proc/cpuinfo", encoding: .utf8)) ?? ""
    let line = info.split(separator: "\n").first { $0.hasPrefix("model name") }
    return line?.split(separator: ":").last?.trimmingCharacters(in: .whitespaces) ?? "unknown"
}
