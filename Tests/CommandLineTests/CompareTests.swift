import Foundation
import OCCEngine
import OneClass
import TestSupport
import Testing

/// Several runs in one table.
@Suite struct CompareTests {
    /// A run's folder, of nothing but what `compare` reads.
    private static func write(
        _ name: String, in folder: TemporaryFolder, losses: [Double], auroc: Double?,
        _ change: (inout RunConfiguration) -> Void
    ) throws {
        var c = RunConfiguration()
        change(&c)
        try folder.write(Array(try c.resolved.json().utf8), to: "\(name)/config.json")
        let lines = losses.enumerated().map { "{\"loss\":\($1),\"seconds\":0.5,\"step\":\(10 * ($0 + 1))}\n" }
        try folder.write(Array((lines.joined() + "{\"loss\":9").utf8), to: "\(name)/metrics.jsonl")
        try folder.write([], to: "\(name)/model.safetensors")
        guard let auroc else { return }
        let evaluation: [String: Any] = [
            "normalClass": "a", "normals": 1, "outliers": 1, "auroc": auroc, "calibration": "split",
            "calibrationImages": 3, "aurocByClass": [:], "transformationAUROC": [:], "pixelAUROC": 0.5,
        ]
        let bytes = try JSONSerialization.data(withJSONObject: evaluation)
        try folder.write(Array(bytes), to: "\(name)/evaluation.json")
    }

    private static func sweep() throws -> TemporaryFolder {
        let folder = try TemporaryFolder()
        for (seed, auroc) in [(1, 0.90), (2, 0.94), (3, 0.92)] {
            try write("runs/wide-\(seed)", in: folder, losses: [2, Double(seed)], auroc: auroc) {
                ($0.seed, $0.learningRate) = (UInt64(seed), 0.5)
            }
        }
        try write("runs/knn", in: folder, losses: [1, 0.25, 0.125], auroc: 0.5) {
            ($0.detector, $0.seed) = (NearestNeighbors(neighbors: 3), 7)
        }
        return folder
    }

    /// Means and deviations are those of a calculator; only what differs is shown.
    @Test func seedsAreAveraged() throws {
        let folder = try Self.sweep()
        let outcome = try run(["compare", folder.file("runs")], in: folder)
        #expect(outcome.status == 0 && outcome.errors == "", "\(outcome.errors)")
        let rows = outcome.output.split(separator: "\n").map { line in
            line.split(separator: "|").map { $0.trimmingCharacters(in: .whitespaces) }
        }
        #expect(
            rows[0] == [
                "run", "seeds", "detector", "learningRate", "neighbors", "loss", "AUROC", "pixel AUROC",
                "seconds", "steps",
            ])
        func cell(_ row: Int, _ column: String) throws -> String {
            rows[row][try #require(rows[0].firstIndex(of: column), "\(rows[0])")]
        }
        #expect(try cell(2, "run") == "knn" && cell(3, "run") == "wide-1 and 2 more")
        #expect(try cell(3, "seeds") == "3" && cell(3, "detector") == "kde")
        #expect(
            try cell(3, "learningRate") == "0.5" && cell(3, "neighbors") == "" && cell(2, "neighbors") == "3")
        #expect(try cell(3, "loss") == "2.0000±1.0000" && cell(2, "loss") == "0.1250")
        #expect(try cell(3, "AUROC") == "92.0±2.0" && cell(2, "AUROC") == "50.0")
        #expect(try cell(3, "steps") == "20±0" && cell(2, "seconds") == "1.5")
        for absent in ["seed", "method", "AUPRO"] { #expect(!rows[0].contains(absent)) }
    }

    @Test func programsAndBrowsersReadIt() throws {
        let folder = try Self.sweep(), page = folder.file("comparison.html")
        try Self.write("other <b>", in: folder, losses: [3], auroc: nil) { $0.batch = 4 }
        let outcome = try run(
            ["compare", folder.file("runs"), folder.file("other <b>"), "--json", "--report", page], in: folder
        )
        #expect(outcome.status == 0)
        #expect(outcome.errors.contains("other <b>: has no AUROC"), "\(outcome.errors)")
        let json = try #require(
            try JSONSerialization.jsonObject(with: Data(outcome.output.utf8)) as? [String: Any])
        let all = try #require(json["configurations"] as? [[String: Any]])
        #expect(all.count == 3 && (json["settings"] as? [String])?.contains("batch") == true)
        let auroc = try #require((all[1]["metrics"] as? [String: [String: Double]])?["auroc"])
        #expect(abs(auroc["mean"]! - 0.92) < 1e-12 && abs(auroc["deviation"]! - 0.02) < 1e-12)
        let runs = try #require(all[1]["runs"] as? [[String: Any]])
        #expect(runs.map { $0["seed"] as? Int } == [1, 2, 3])
        let html = String(decoding: try readFile(page), as: UTF8.self)
        // A line for each run that has two points; the tags are closed.
        #expect(html.components(separatedBy: "<polyline").count == 5)
        #expect(html.components(separatedBy: "<figure>").count == 3 && !html.contains("other <b>"))
        let document = try #require(html.split(separator: ">", maxSplits: 1).last.map(String.init))
        let parser = XMLText(document.replacing("<meta charset=\"utf-8\">", with: ""))
        #expect(parser.unclosed.isEmpty, "\(parser.unclosed)")
    }

    /// What real runs leave, a protocol's among them, is what they print.
    @Test func realRunsAreRead() throws {
        let folder = try TemporaryFolder()
        try smallDataset(in: folder)
        let trained = try run(
            ["train", "--data", folder.file("data"), "--out", folder.file("a"), "--json"] + smallRun,
            in: folder)
        #expect(trained.status == 0, "\(trained.errors)")
        let evaluation = try JSONDecoder().decode(Evaluation.self, from: Data(trained.output.utf8))
        #expect(try readFile(folder.file("a/evaluation.json")) == Array(trained.output.utf8))
        let options = smallRun.filter { $0 != "--log-every" && $0 != "1" }
        let table = try run(
            [
                "protocol", "--data", folder.file("data"), "--out", folder.file("b"), "--seeds", "2",
                "--detectors", "kde",
                "--json",
            ] + options,
            in: folder)
        #expect(table.status == 0, "\(table.errors)")
        let cells = try JSONDecoder().decode(ProtocolTable.self, from: Data(table.output.utf8)).mean.cells
        let runs = try RunComparison.folders([folder.file("a"), folder.file("b")]).map { try RunSummary($0) }
        #expect(runs.count == 3)
        #expect(runs[0].metrics[.auroc] == evaluation.auroc && runs[0].metrics[.steps] == 4)
        let seconds = try #require(runs[0].metrics[.seconds])
        #expect(seconds > 0 && seconds < 60)
        #expect(runs[0].losses.map(\.step) == [1, 2, 3, 4])
        let both = try RunComparison(Array(runs.dropFirst()))
        #expect(both.groups.count == 1 && both.settings.isEmpty)
        #expect(both.groups[0].mean(of: .auroc) == cells["kde"]?.mean)
        #expect(both.groups[0].deviation(of: .auroc) == cells["kde"]?.deviation)
    }

    @Test func whatIsNoRunIsNamed() throws {
        let folder = try TemporaryFolder()
        try folder.write([1], to: "empty/file")
        for (path, status) in [("empty", 66), ("nowhere", 66)] {
            let outcome = try run(["compare", folder.file(path)], in: folder)
            #expect(outcome.status == Int32(status) && outcome.errors.contains(path), "\(outcome.errors)")
        }
        #expect(try run(["compare"], in: folder).status == 64)
        try Self.write("bad", in: folder, losses: [1], auroc: nil) { $0.steps = 9 }
        try folder.write(Array("{}".utf8), to: "bad/evaluation.json")
        let outcome = try run(["compare", folder.file("bad")], in: folder)
        #expect(outcome.status == 65 && outcome.errors.contains("evaluation.json"), "\(outcome.errors)")
    }
}

/// The tags of a page that nothing closes.
private struct XMLText {
    var unclosed: [String] = []

    init(_ html: String) {
        for part in html.split(separator: "<").dropFirst() {
            let tag = part.prefix { $0 != ">" }, name = String(tag.prefix { !$0.isWhitespace && $0 != "/" })
            if tag.hasPrefix("/") {
                if unclosed.last == String(tag.dropFirst()) { unclosed.removeLast() }
            } else if !tag.hasSuffix("/"), !["meta", "link", "img", "br"].contains(name) {
                unclosed.append(name)
            }
        }
    }
}
