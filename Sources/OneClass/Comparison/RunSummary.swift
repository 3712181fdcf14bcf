import Foundation
import OCCEngine

/// What the files of a run's folder say of it, in short.
public struct RunSummary: Sendable {
    /// A number that runs are compared by.
    public enum Metric: String, CaseIterable, Sendable, Codable, CodingKeyRepresentable {
        /// The loss of the last step that is recorded.
        case loss
        /// The AUROC of the images.
        case auroc
        /// The AUROC of the pixels.
        case pixelAUROC
        /// The area under the per-region-overlap curve.
        case aupro
        /// Seconds of training.
        case seconds
        /// Steps done.
        case steps
    }

    /// A point of the learning curve.
    public struct Point: Sendable, Equatable {
        /// The number of steps done.
        public let step: Int
        /// The loss of the last of them.
        public let loss: Double
    }

    /// The folder.
    public let path: String
    /// What was trained, and how.
    public let configuration: RunConfiguration
    /// The numbers that there are.
    public let metrics: [Metric: Double]
    /// The learning curve, in the order of the steps.
    public let losses: [Point]
    /// Why a number is missing that a finished run has; nil where none is.
    public let remark: String?

    /// Reads a run's folder.
    ///
    /// - Throws: `OCCError(.noInput)` where it holds no run, `.badData` naming a file that is damaged.
    public init(_ path: String) throws {
        self.path = path
        let file = "\(path)/config.json"
        guard let bytes = try readFileIfPresent(file) else {
            throw OCCError(
                .noInput, "\(path): holds no run: there is no config.json",
                remedy: "Name folders that train or protocol made.")
        }
        configuration = try RunConfiguration(json: bytes, name: file)
        var metrics: [Metric: Double] = [:], losses: [Point] = [], seconds: Double? = 0
        for line in try readFileIfPresent("\(path)/metrics.jsonl")?.split(separator: UInt8(ascii: "\n")) ?? []
        {
            // The last line of a run that is killed or at work may be torn.
            guard let record = try? JSONDecoder().decode(Line.self, from: Data(line)) else { continue }
            if let loss = record.loss { losses.append(Point(step: record.step, loss: loss)) }
            metrics[.steps] = Double(record.step)
            seconds = record.seconds.flatMap { own in seconds.map { $0 + own } }
        }
        metrics[.loss] = losses.last?.loss
        if configuration.steps == 0 { metrics[.steps] = 0 }
        if metrics[.steps] != nil { metrics[.seconds] = seconds }
        for (metric, value) in try Self.evaluation(path, configuration) { metrics[metric] = value }
        self.metrics = metrics
        self.losses = losses
        remark =
            !pathExists("\(path)/model.safetensors")
            ? "\(path): is not finished"
            : metrics[.auroc] == nil
                ? "\(path): has no AUROC: train wrote none, or there were no test images of both kinds" : nil
    }

    private struct Line: Decodable {
        let step: Int
        let loss: Double?
        let seconds: Double?
    }

    /// The numbers of evaluation.json, or of a protocol's result.json.
    private static func evaluation(_ path: String, _ configuration: RunConfiguration) throws
        -> [Metric: Double]
    {
        func decoded<Value: Decodable>(_ name: String, as type: Value.Type) throws -> Value? {
            guard let bytes = try readFileIfPresent("\(path)/\(name)") else { return nil }
            guard let value = try? JSONDecoder().decode(type, from: Data(bytes)) else {
                throw OCCError(
                    .badData, "\(path)/\(name): is no evaluation", remedy: "Remove it, and train again.")
            }
            return value
        }
        if let found = try decoded("evaluation.json", as: Evaluation.self) {
            let all = [(Metric.auroc, found.auroc), (.pixelAUROC, found.pixelAUROC), (.aupro, found.aupro)]
            return Dictionary(uniqueKeysWithValues: all.compactMap { key, value in value.map { (key, $0) } })
        }
        guard let result = try decoded("result.json", as: ProtocolRun.Result.self) else { return [:] }
        let detector = configuration.patch == nil ? configuration.detector.name : "image AUROC"
        let all = [(Metric.auroc, detector), (.pixelAUROC, "pixel AUROC"), (.aupro, "AUPRO")]
        return Dictionary(
            uniqueKeysWithValues: all.compactMap { key, name in result.values[name].map { (key, $0) } })
    }
}

extension RunSummary.Metric {
    /// Its name in a table.
    public var title: String {
        switch self {
        case .loss: "loss"
        case .auroc: "AUROC"
        case .pixelAUROC: "pixel AUROC"
        case .aupro: "AUPRO"
        case .seconds: "seconds"
        case .steps: "steps"
        }
    }

    /// A mean, with the deviation where there are several values: shares in percent.
    func text(_ mean: Double, deviation: Double?) -> String {
        func number(_ value: Double) -> String {
            switch self {
            case .loss: String(format: "%.4f", value)
            case .auroc, .pixelAUROC, .aupro: String(format: "%.1f", 100 * value)
            case .seconds: String(format: "%.1f", value)
            case .steps:
                value == value.rounded() ? String(format: "%.0f", value) : String(format: "%.1f", value)
            }
        }
        return deviation.map { "\(number(mean))±\(number($0))" } ?? number(mean)
    }
}
